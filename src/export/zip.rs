//! A ZIP archive of stored entries whose sizes are known before their contents: what NumPy's archives
//! are. Contents may be written at any place in any order, which archives that are written from front
//! to back do not allow; headers with checksums come last. Entries and archives beyond 4 GiB use the
//! 64-bit fields (APPNOTE.TXT 6.3, sections 4.3 and 4.5.3).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rayon::prelude::*;

/// One entry.
#[derive(Debug)]
pub struct Entry {
    name: String,
    size: u64,
    /// Of its local header.
    header: u64,
}

/// Where everything lies.
#[derive(Debug, Default)]
pub struct Archive {
    entries: Vec<Entry>,
    end: u64,
}

/// Fields of 32 bits that are in the 64-bit extension instead.
const ELSEWHERE: u32 = u32::MAX;
/// Bytes of the extension in a local header: id, length, both sizes.
const EXTENSION: u64 = 4 + 16;
const LOCAL: u64 = 30;
/// First of January 1980, the earliest date there is: equal contents give equal files.
const DATE: u16 = 0x21;

impl Archive {
    /// Makes room for an entry of `size` bytes; returns where they begin.
    pub fn add(&mut self, name: String, size: u64) -> u64 {
        let header = self.end;
        let contents = header + LOCAL + name.len() as u64 + EXTENSION;
        self.end = contents + size;
        self.entries.push(Entry { name, size, header });
        contents
    }

    /// Bytes up to the directory.
    pub fn len(&self) -> u64 {
        self.end
    }

    /// Writes headers and directory around the contents, whose checksums are read off the file.
    pub fn finish(&self, file: &File) -> io::Result<()> {
        let sums: io::Result<Vec<u32>> = self.entries.par_iter().map(|e| e.checksum(file)).collect();
        let mut directory = Vec::new();
        for (entry, sum) in self.entries.iter().zip(sums?) {
            entry.write(file, sum, &mut directory)?;
        }
        let (start, length, count) = (self.end, directory.len() as u64, self.entries.len() as u64);
        let end64 = start + length;
        directory.extend(0x0606_4b50_u32.to_le_bytes());
        directory.extend(44_u64.to_le_bytes());
        directory.extend([45, 3, 45, 0]);
        directory.extend([0; 8]);
        for field in [count, count, length, start] {
            directory.extend(field.to_le_bytes());
        }
        directory.extend(0x0706_4b50_u32.to_le_bytes());
        directory.extend(0_u32.to_le_bytes());
        directory.extend(end64.to_le_bytes());
        directory.extend(1_u32.to_le_bytes());
        directory.extend(0x0605_4b50_u32.to_le_bytes());
        directory.extend([0; 4]);
        let short = u16::try_from(count).unwrap_or(u16::MAX);
        directory.extend(short.to_le_bytes());
        directory.extend(short.to_le_bytes());
        directory.extend(u32::try_from(length).unwrap_or(ELSEWHERE).to_le_bytes());
        directory.extend(u32::try_from(start).unwrap_or(ELSEWHERE).to_le_bytes());
        directory.extend([0; 2]);
        file.write_all_at(&directory, start)
    }
}

impl Entry {
    fn contents(&self) -> u64 {
        self.header + LOCAL + self.name.len() as u64 + EXTENSION
    }

    fn checksum(&self, file: &File) -> io::Result<u32> {
        let mut hasher = crc32fast::Hasher::new();
        let mut part = vec![0; 256 << 10];
        let (mut at, end) = (self.contents(), self.contents() + self.size);
        while at < end {
            let n = part.len().min((end - at) as usize);
            file.read_exact_at(&mut part[..n], at)?;
            hasher.update(&part[..n]);
            at += n as u64;
        }
        Ok(hasher.finalize())
    }

    /// Writes the local header and adds to the directory.
    fn write(&self, file: &File, sum: u32, directory: &mut Vec<u8>) -> io::Result<()> {
        let mut common = Vec::new();
        // Version 4.5, no flags, stored, midnight.
        for field in [45, 0, 0, 0, DATE] {
            common.extend(field.to_le_bytes());
        }
        common.extend(sum.to_le_bytes());
        common.extend(ELSEWHERE.to_le_bytes());
        common.extend(ELSEWHERE.to_le_bytes());
        common.extend((self.name.len() as u16).to_le_bytes());

        let mut local = 0x0403_4b50_u32.to_le_bytes().to_vec();
        local.extend(&common);
        local.extend((EXTENSION as u16).to_le_bytes());
        local.extend(self.name.as_bytes());
        local.extend([1, 0, 16, 0]);
        local.extend(self.size.to_le_bytes());
        local.extend(self.size.to_le_bytes());
        file.write_all_at(&local, self.header)?;

        directory.extend(0x0201_4b50_u32.to_le_bytes());
        // Made by version 4.5 on Unix.
        directory.extend([45, 3]);
        directory.extend(&common);
        directory.extend((4_u16 + 24).to_le_bytes());
        // No comment, first disk, no internal attributes; a file that everybody may read.
        directory.extend([0; 6]);
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend(ELSEWHERE.to_le_bytes());
        directory.extend(self.name.as_bytes());
        directory.extend([1, 0, 24, 0]);
        directory.extend(self.size.to_le_bytes());
        directory.extend(self.size.to_le_bytes());
        directory.extend(self.header.to_le_bytes());
        Ok(())
    }
}

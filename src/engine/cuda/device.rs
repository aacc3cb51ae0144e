//! A device: its context, its streams, what it is.

use std::sync::Arc;

use cudarc::driver::sys::CUdevice_attribute as Attribute;
use cudarc::driver::{CudaContext, CudaStream, result, sys};

use super::budget::Budget;
use super::error::CudaError;
use super::library;

/// An open device.
#[derive(Clone)]
pub struct Device {
    /// The context that everything lives in.
    pub context: Arc<CudaContext>,
    /// Where steps run.
    pub stream: Arc<CudaStream>,
    /// Where results travel home, beside the next step.
    pub copies: Arc<CudaStream>,
    /// What it is.
    pub about: About,
    /// What may be taken of its memory.
    pub budget: Arc<Budget>,
}

/// What is known of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its number.
    pub ordinal: usize,
    /// Its name.
    pub name: String,
    /// Major and minor compute capability.
    pub capability: (i32, i32),
    /// Multiprocessors.
    pub multiprocessors: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// Of these, free.
    pub free: u64,
}

impl About {
    /// What the compiler calls it: `sm_90`.
    pub fn architecture(&self) -> String {
        format!("sm_{}{}", self.capability.0, self.capability.1)
    }
}

impl Device {
    /// Opens device `ordinal`, of whose memory at most `limit` bytes are taken. Fails with what is missing.
    pub fn open(ordinal: usize, limit: Option<u64>) -> Result<Self, CudaError> {
        let found = count()?;
        if ordinal >= found {
            return Err(CudaError::NoDevice { asked: ordinal, found });
        }
        let failed = || CudaError::driver(format!("cannot open CUDA device {ordinal}"));
        let context = CudaContext::new(ordinal).map_err(failed())?;
        // SAFETY: memory is handled by address here and ordered by this module itself, so the
        // bindings' own events, which a captured graph may not contain, are not needed.
        #[allow(unsafe_code)]
        unsafe {
            context.disable_event_tracking();
        }
        let stream = context.new_stream().map_err(failed())?;
        let copies = context.new_stream().map_err(failed())?;
        let about = about(&context).map_err(failed())?;
        Ok(Self { context, stream, copies, about, budget: Arc::new(Budget::new(limit)) })
    }

    /// Free and total bytes of its memory; what is beyond the limit is not free.
    pub fn memory(&self) -> Result<(u64, u64), CudaError> {
        let (free, total) =
            self.context.mem_get_info().map_err(CudaError::driver("cannot ask for free device memory"))?;
        Ok(((free as u64).min(self.budget.left()), total as u64))
    }

    /// Makes it the device that this thread speaks to.
    pub fn bind(&self) -> Result<(), CudaError> {
        self.context.bind_to_thread().map_err(CudaError::driver("cannot use the device"))
    }

    /// Lets `other`'s memory be read directly, where the machine can do that; otherwise copies go through the host.
    pub fn reach(&self, other: &Self) {
        let (mut can, here, there) = (0, self.context.cu_device(), other.context.cu_device());
        // SAFETY: both contexts are live; the driver writes one integer. That access is given already is no harm.
        #[allow(unsafe_code)]
        unsafe {
            if self.bind().is_ok()
                && sys::cuDeviceCanAccessPeer(&raw mut can, here, there).result().is_ok()
                && can != 0
            {
                let _ = sys::cuCtxEnablePeerAccess(other.context.cu_ctx(), 0);
            }
        }
    }

    /// Waits for everything on the stream of steps.
    pub fn wait(&self) -> Result<(), CudaError> {
        self.stream.synchronize().map_err(CudaError::driver("the device failed while it computed"))
    }
}

fn about(context: &Arc<CudaContext>) -> Result<About, cudarc::driver::DriverError> {
    let (free, total) = context.mem_get_info()?;
    Ok(About {
        ordinal: context.ordinal(),
        name: context.name()?,
        capability: context.compute_capability()?,
        multiprocessors: context.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)? as u32,
        memory: total as u64,
        free: free as u64,
    })
}

/// Devices of this machine.
pub fn count() -> Result<usize, CudaError> {
    library::driver()?;
    match CudaContext::device_count() {
        Ok(n) => Ok(n.max(0) as usize),
        Err(e) if e.0 == sys::CUresult::CUDA_ERROR_NO_DEVICE => Ok(0),
        Err(source) => Err(CudaError::Driver { doing: "NVIDIA's driver does not start".into(), source }),
    }
}

/// Whether there is a device and what its kernels are compiled with.
pub fn is_usable() -> bool {
    count().is_ok_and(|n| n > 0) && library::nvrtc().is_ok()
}

/// What each device is; an error says what is missing.
pub fn list() -> Result<Vec<About>, CudaError> {
    (0..count()?)
        .map(|ordinal| {
            let failed = || CudaError::driver(format!("cannot open CUDA device {ordinal}"));
            let context = CudaContext::new(ordinal).map_err(failed())?;
            about(&context).map_err(failed())
        })
        .collect()
}

/// Version of CUDA that the driver supports, such as (13, 0).
pub fn driver_version() -> Result<(i32, i32), CudaError> {
    library::driver()?;
    let failed = || CudaError::driver("cannot ask for the driver's version");
    result::init().map_err(failed())?;
    let mut version = 0;
    // SAFETY: the driver is loaded; it writes one integer.
    #[allow(unsafe_code)]
    unsafe { sys::cuDriverGetVersion(&raw mut version) }.result().map_err(failed())?;
    Ok((version / 1000, version % 1000 / 10))
}

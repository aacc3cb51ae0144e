"""Compiles CUDA kernels with NVRTC, as the program does when it runs; no GPU needed.

Usage: compile_kernels.py FOLDER KERNEL.cu…   FOLDER: where pip put the NVRTC wheels.
"""

import ctypes
import pathlib
import sys

ARCHITECTURES = ["sm_80", "sm_90"]


def main(folder: str, kernels: list[str]) -> int:
    root = pathlib.Path(folder, "nvidia")
    library = next(root.glob("cuda_nvrtc/lib/libnvrtc.so.*[0-9]"))
    nvrtc = ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    includes = [str(root / "cuda_runtime/include"), str(root / "cuda_nvrtc/include"), "cuda"]
    failed = 0
    for kernel in kernels:
        source = pathlib.Path(kernel).read_bytes()
        for architecture in ARCHITECTURES:
            program = ctypes.c_void_p()
            nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, kernel.encode(), 0, None, None)
            options = [f"--gpu-architecture={architecture}", "--std=c++17", *(f"-I{path}" for path in includes)]
            arguments = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
            result = nvrtc.nvrtcCompileProgram(program, len(options), arguments)
            size = ctypes.c_size_t()
            nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
            log = ctypes.create_string_buffer(max(size.value, 1))
            nvrtc.nvrtcGetProgramLog(program, log)
            print(f"{kernel} for {architecture}: {'ok' if result == 0 else 'failed'}")
            if text := log.value.decode(errors="replace").strip():
                print(text)
            failed += result != 0
            nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

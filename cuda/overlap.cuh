// Letting a kernel start before the one in front of it has ended (programmatic dependent launch, sm_90).
//
// A kernel says `let_next_start()` first, does what depends on nothing (it fetches weights), and then
// `wait_for_previous()` before it reads or writes anything that another kernel touches. Without the launch
// attribute, and before sm_90, both are nothing.
#pragma once

__device__ inline void let_next_start() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

__device__ inline void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

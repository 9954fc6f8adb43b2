# The same kernels compiled once per instruction set; isa.cpp chooses at run time.
function(resnet_onednn_kernels isa)
  set(source "${CMAKE_CURRENT_SOURCE_DIR}/backends/onednn/kernels/${isa}.cpp")
  target_sources(resnet_onednn PRIVATE "${source}")
  set_source_files_properties("${source}" PROPERTIES
    COMPILE_OPTIONS "-O3;-ffp-contract=fast;-Wno-psabi;${ARGN}")
endfunction()

resnet_onednn_kernels(portable)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  resnet_onednn_kernels(avx2 -mavx2 -mfma)
  set(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512)
  resnet_onednn_kernels(avx512 ${avx512})
  resnet_onednn_kernels(avx512_bf16 ${avx512} -mavx512bf16)
  target_compile_definitions(resnet_onednn PRIVATE RESNET_X86_KERNELS)
endif()

/** A wheel of the Python package index: its name and version there, and the SHA-256 of the file. */
export type GpuWheel = { readonly name: string; readonly version: string; readonly sha256: string };

/**
 * Version of ONNX Runtime that the wheels are for. Its provider works with exactly this version of its library, so both
 * change together.
 */
export const WHEELS_ONNX_RUNTIME = '1.30.0';

/** Options of `pip download` that choose the files whose SHA-256 is in the list. */
export const PIP_OPTIONS =
  '--no-deps --require-hashes --only-binary=:all: --python-version 3.12 --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux2014_x86_64 --platform manylinux2010_x86_64 --platform manylinux1_x86_64';

/**
 * The CUDA provider of ONNX Runtime, and the libraries of CUDA 13 and cuDNN 9 that it loads, for Linux on x86-64. About
 * 1.3 GB. The list is what pip chose for `onnxruntime-gpu[cuda,cudnn]` on 1 December 2026.
 */
export const gpuWheels: readonly GpuWheel[] = [
  {
    name: 'onnxruntime-gpu',
    version: WHEELS_ONNX_RUNTIME,
    sha256: '6acc0f4b3d5ac5f2984432faa59dd8fcce6775f8b43a7140afa0f322c7a703b1',
  },
  {
    name: 'nvidia-cublas',
    version: '13.10.0.20',
    sha256: 'dcc6d63884c53d07e267ce7e6feac17b2538cebaafec5db865736c3e28e4dc84',
  },
  {
    name: 'nvidia-cuda-nvrtc',
    version: '13.5.37',
    sha256: '86b4d68058807988b7d9af5b44917a0601e9c337f35ccd657bfb3c759ff8d8bc',
  },
  {
    name: 'nvidia-cuda-runtime',
    version: '13.5.37',
    sha256: 'df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d',
  },
  {
    name: 'nvidia-cudnn-cu13',
    version: '9.28.1.4',
    sha256: 'a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec',
  },
  {
    name: 'nvidia-cufft',
    version: '12.5.0.14',
    sha256: 'b8be26837a5abad2b5b74f3e92dd29f622a42934b355be0961a48712cbba23ad',
  },
  {
    name: 'nvidia-curand',
    version: '10.4.5.25',
    sha256: '22bb226a857e5888fe6b54ae465fc4371296bcff13a35f79e19691bcf454f529',
  },
  {
    name: 'nvidia-nvjitlink',
    version: '13.5.37',
    sha256: '280d7cb9649704145f074b8dbde500de04ce02d0872e066e20a83c17bcaa93eb',
  },
];

/** Returns the list as requirements of pip, with the command that downloads them. */
export function wheelRequirements(wheels: readonly GpuWheel[]): string {
  return [
    '# Libraries for CUDA. Download them on a machine with Internet access, and copy the folder to the box:',
    `#   pip download -r gpu-wheels.txt -d gpu-wheels ${PIP_OPTIONS}`,
    '#   sudo andon gpu install gpu-wheels',
    ...wheels.map(({ name, version, sha256 }) => `${name}==${version} --hash=sha256:${sha256}`),
  ].join('\n');
}

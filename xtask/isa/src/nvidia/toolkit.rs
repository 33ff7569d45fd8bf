//! NVIDIA's compilers, from the wheels of CUDA: NVRTC compiles CUDA C++ to PTX, ptxas compiles PTX to machine code,
//! nvdisasm disassembles it.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libloading::Library;

use crate::Result;

type Program = *mut c_void;
type Create = unsafe extern "C" fn(
    *mut Program,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
    *const *const c_char,
) -> c_int;
type Compile = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int;
type Size = unsafe extern "C" fn(Program, *mut usize) -> c_int;
type Get = unsafe extern "C" fn(Program, *mut c_char) -> c_int;
type Destroy = unsafe extern "C" fn(*mut Program) -> c_int;

/// The unpacked wheels.
pub struct Toolkit {
    nvrtc: Library,
    ptxas: PathBuf,
    nvdisasm: PathBuf,
    /// The version of ptxas.
    pub version: String,
}

/// The result for a kernel.
pub struct Compiled {
    /// Registers of a thread.
    pub registers: u64,
    /// Bytes that a thread spills.
    pub spilled: u64,
    /// Bytes of a thread's own memory.
    pub stack: u64,
    /// Bytes of workgroup memory.
    pub shared: u64,
    /// The disassembly.
    pub assembly: String,
}

impl Toolkit {
    /// The toolkit in the folder into which the wheels were installed.
    ///
    /// # Errors
    /// Names what is missing.
    pub fn open(folder: &Path) -> Result<Self> {
        let root = folder.join("nvidia");
        let library = root.join("cuda_nvrtc/lib/libnvrtc.so.12");
        // SAFETY: it is NVIDIA's library, whose initialisation requires nothing of this process.
        let nvrtc =
            unsafe { Library::new(&library) }.map_err(|error| format!("{}: {error}", library.display()))?;
        let [ptxas, nvdisasm] = ["cuda_nvcc/bin/ptxas", "cu13/bin/nvdisasm"].map(|part| root.join(part));
        let version = words(&run(Command::new(&ptxas).arg("--version"))?.stdout);
        let version =
            version.lines().find_map(|line| line.split_once(", V")).map(|(_, number)| number.trim());
        let version = version.ok_or("ptxas tells no version")?.to_owned();
        run(Command::new(&nvdisasm).arg("--version"))?;
        Ok(Self { nvrtc, ptxas, nvdisasm, version })
    }

    /// Compiles CUDA C++ for an architecture, such as `sm_90`, with intermediate files of this `stem`.
    ///
    /// # Errors
    /// The errors of the compilers.
    pub fn compile(&self, text: &str, architecture: &str, stem: &Path) -> Result<Compiled> {
        let [ptx, cubin] = ["ptx", "cubin"].map(|kind| stem.with_extension(kind));
        fs::write(&ptx, self.ptx(text, &architecture.replace("sm_", "compute_"))?)?;
        let mut ptxas = Command::new(&self.ptxas);
        ptxas.args(["-v", &format!("-arch={architecture}")]).arg(&ptx).arg("-o").arg(&cubin);
        let told = words(&run(&mut ptxas)?.stderr);
        let assembly = words(&run(Command::new(&self.nvdisasm).arg("-c").arg(&cubin))?.stdout);
        for file in [ptx, cubin] {
            fs::remove_file(file)?;
        }
        Compiled::of(&told, assembly)
    }

    fn ptx(&self, text: &str, architecture: &str) -> Result<Vec<u8>> {
        let text = CString::new(text)?;
        let options = [&format!("--gpu-architecture={architecture}"), "-std=c++17", "-default-device", "-w"]
            .map(CString::new);
        let options = options.into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        // SAFETY: the functions have these types in NVRTC's header. The program is made, used and destroyed only here;
        // texts and options outlive the calls; buffers have the size that was returned before.
        unsafe {
            let create = self.nvrtc.get::<Create>(b"nvrtcCreateProgram\0")?;
            let compile = self.nvrtc.get::<Compile>(b"nvrtcCompileProgram\0")?;
            let destroy = self.nvrtc.get::<Destroy>(b"nvrtcDestroyProgram\0")?;
            let mut program: Program = std::ptr::null_mut();
            let none = std::ptr::null();
            let made = create(&mut program, text.as_ptr(), c"kernel.cu".as_ptr(), 0, none, none);
            if made != 0 {
                return Err(format!("NVRTC makes no program: error {made}").into());
            }
            let compiled = compile(program, options.len() as c_int, options.as_ptr());
            let names: [&[u8]; 2] = match compiled {
                0 => [b"nvrtcGetPTXSize\0", b"nvrtcGetPTX\0"],
                _ => [b"nvrtcGetProgramLogSize\0", b"nvrtcGetProgramLog\0"],
            };
            let (size, get) = (self.nvrtc.get::<Size>(names[0])?, self.nvrtc.get::<Get>(names[1])?);
            let mut bytes = 0;
            let sized = size(program, &mut bytes);
            let mut written = vec![0u8; bytes];
            let got = get(program, written.as_mut_ptr().cast());
            destroy(&mut program);
            if sized != 0 || got != 0 {
                return Err(format!("NVRTC does not hand out what it made: errors {sized}, {got}").into());
            }
            let written = CStr::from_bytes_until_nul(&written)?.to_bytes();
            if compiled != 0 {
                let told: String = words(written).chars().take(2000).collect();
                return Err(format!("NVRTC: {told}").into());
            }
            Ok(written.to_vec())
        }
    }
}

impl Compiled {
    /// Reads the output of ptxas, such as `0 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads` and
    /// `Used 40 registers, used 1 barriers, 4096 bytes smem, 400 bytes cmem[0]`.
    fn of(told: &str, assembly: String) -> Result<Self> {
        let before = |what: &str| {
            let at = told.find(what)?;
            told[..at].split_whitespace().next_back()?.parse().ok()
        };
        let need = |what: &str| before(what).ok_or_else(|| format!("ptxas tells no `{what}`: {told}"));
        Ok(Self {
            registers: need(" registers")?,
            spilled: need(" bytes spill stores")?,
            stack: need(" bytes stack frame")?,
            shared: before(" bytes smem").unwrap_or(0),
            assembly,
        })
    }
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(command: &mut Command) -> Result<Output> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let told: String = words(&output.stderr).chars().take(2000).collect();
        return Err(format!("{command:?} failed with {}: {told}", output.status).into());
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ptxas_tells_is_read() {
        let told = "ptxas info    : 0 bytes gmem\nptxas info    : Compiling entry function 'kern' for 'sm_90'\n\
                    ptxas info    : Function properties for kern\n    88 bytes stack frame, 112 bytes spill stores, 96 bytes spill loads\n\
                    ptxas info    : Used 255 registers, used 1 barriers, 88 bytes cumulative stack size, 4096 bytes smem\n";
        let compiled = Compiled::of(told, String::new()).unwrap();
        assert_eq!(
            [compiled.registers, compiled.spilled, compiled.stack, compiled.shared],
            [255, 112, 88, 4096]
        );
        let without = Compiled::of(&told.replace(", 4096 bytes smem", ""), String::new()).unwrap();
        assert_eq!(without.shared, 0);
        assert!(Compiled::of("Used 255 registers", String::new()).is_err());
    }
}

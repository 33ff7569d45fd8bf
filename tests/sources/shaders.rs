//! Every shader, in every variant that a planner can choose: it validates, it translates to every language that wgpu
//! passes to a driver, and it matches its Rust side, by reflection.

mod plain;
mod variants;

use std::collections::{BTreeSet, HashMap};
use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use naga::back::{PipelineConstants, glsl, hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::proc::BoundsCheckPolicies;
use naga::valid::{Capabilities, GlobalUse, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, Scalar, ShaderStage, StorageAccess, TypeInner};
use variants::{functions, kernels, packed, rows_of};
use wgru::dtype::Precision;
use wgru::kernels::{
    Access, Kernel, MOST_STORAGE_BUFFERS, Rows, Step, StepCell, activate_rows, exchange, matmul, merge,
    order_rows, pipelining, recurrence, step, streams,
};
use wgru::model::Activation;

type Validated = Arc<(Module, ModuleInfo)>;

/// [`validate`], once for each text.
fn validated(source: &str) -> Result<Validated, String> {
    static SEEN: LazyLock<Mutex<HashMap<String, Validated>>> = LazyLock::new(Mutex::default);
    let seen = || SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = seen().get(source) {
        return Ok(found.clone());
    }
    let made = Arc::new(validate(source)?);
    seen().insert(source.to_owned(), made.clone());
    Ok(made)
}

/// Parses and validates with no capability beyond core WebGPU, which has unpack2x16float. A text that enables
/// extensions gets the capabilities of cooperative matrices too.
fn validate(source: &str) -> Result<(Module, ModuleInfo), String> {
    let mut capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    if source.starts_with("enable f16;") {
        capabilities |=
            Capabilities::SHADER_FLOAT16 | Capabilities::SUBGROUP | Capabilities::COOPERATIVE_MATRIX;
    }
    let mut front = naga::front::wgsl::Frontend::new_with_options(naga::front::wgsl::Options {
        parse_doc_comments: false,
        capabilities,
    });
    let module = front.parse(source).map_err(|error| error.emit_to_string(source))?;
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::all())
        .validate(&module)
        .map_err(|error| error.emit_to_string(source))?;
    Ok((module, info))
}

/// Validates, and replaces the pipeline constants by their values.
fn specialise(source: &str, constants: &[(&'static str, f64)]) -> Result<(Module, ModuleInfo), String> {
    let validated = validated(source)?;
    let (module, info) = &*validated;
    let constants: PipelineConstants =
        constants.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    let entry = Some((ShaderStage::Compute, "main"));
    let (module, info) =
        process_overrides(module, info, entry, &constants).map_err(|error| error.to_string())?;
    Ok((module.into_owned(), info.into_owned()))
}

fn specialised(kernel: Kernel) -> (Module, ModuleInfo) {
    specialise(&kernel.source(), &kernel.constants()).unwrap_or_else(|error| panic!("{kernel}: {error}"))
}

fn to_spirv(module: &Module, info: &ModuleInfo) -> Result<usize, String> {
    let pipeline =
        spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: "main".to_owned() };
    spv::write_vec(module, info, &spv::Options::default(), Some(&pipeline))
        .map(|words| words.len())
        .map_err(|error| error.to_string())
}

fn to_hlsl(module: &Module, info: &ModuleInfo, shader_model: hlsl::ShaderModel) -> Result<usize, String> {
    let options = hlsl::Options { shader_model, ..Default::default() };
    let pipeline = hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, "main".to_owned())) };
    let mut text = String::new();
    let written = hlsl::Writer::new(&mut text, &options, &pipeline).write(module, info, None);
    for name in written.map_err(|error| error.to_string())?.entry_point_names {
        name.map_err(|error| error.to_string())?;
    }
    Ok(text.len())
}

/// Whether a kernel is of cooperative matrices.
fn has_matrices(module: &Module) -> bool {
    module.types.iter().any(|(_, ty)| matches!(ty.inner, TypeInner::CooperativeMatrix { .. }))
}

fn to_msl(module: &Module, info: &ModuleInfo) -> Result<usize, String> {
    // The version that has subgroups and matrices.
    let lang_version = if has_matrices(module) { (2, 3) } else { (2, 0) };
    let options = msl::Options { lang_version, ..Default::default() };
    let pipeline = msl::PipelineOptions {
        entry_point: Some((ShaderStage::Compute, "main".to_owned())),
        ..Default::default()
    };
    let written = msl::write_string(module, info, &options, &pipeline);
    let (text, translation) = written.map_err(|error| error.to_string())?;
    for name in translation.entry_point_names {
        name.map_err(|error| error.to_string())?;
    }
    Ok(text.len())
}

/// GLSL ES 3.10, the first with compute shaders.
fn to_glsl(module: &Module, info: &ModuleInfo) -> Result<usize, String> {
    let options = glsl::Options { version: glsl::Version::new_gles(310), ..Default::default() };
    let pipeline = glsl::PipelineOptions {
        shader_stage: ShaderStage::Compute,
        entry_point: "main".to_owned(),
        multiview: None,
    };
    let mut text = String::new();
    let policies = BoundsCheckPolicies::default();
    glsl::Writer::new(&mut text, module, info, &options, &pipeline, policies)
        .and_then(|mut writer| writer.write())
        .map_err(|error| error.to_string())?;
    Ok(text.len())
}

#[test]
fn every_kernel_translates_to_every_language() {
    for kernel in kernels() {
        let (module, info) = specialised(kernel);
        let mut written = vec![("SPIR-V", to_spirv(&module, &info)), ("MSL", to_msl(&module, &info))];
        // Only Vulkan and Metal have cooperative matrices.
        if !has_matrices(&module) {
            written.extend([
                ("HLSL 5.1", to_hlsl(&module, &info, hlsl::ShaderModel::V5_1)),
                ("HLSL 6.0", to_hlsl(&module, &info, hlsl::ShaderModel::V6_0)),
                ("GLSL ES 3.10", to_glsl(&module, &info)),
            ]);
        }
        for (language, length) in written {
            let length = length.unwrap_or_else(|error| panic!("{kernel} as {language}: {error}"));
            assert!(length > 100, "{kernel} as {language}: {length} words or characters");
        }
    }
}

/// A global variable with a binding, as the shader declares it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Declared {
    index: u32,
    name: String,
    access: String,
}

/// Bindings of group 0, and how `main` uses each.
fn declared(module: &Module, info: &ModuleInfo) -> Vec<(Declared, GlobalUse)> {
    let main = info.get_entry_point(0);
    let mut all = Vec::new();
    for (handle, variable) in module.global_variables.iter() {
        let Some(binding) = &variable.binding else { continue };
        assert_eq!(binding.group, 0, "{:?} is in another group", variable.name);
        let inner = &module.types[variable.ty].inner;
        let access = match variable.space {
            AddressSpace::Uniform => format!("uniform of {} bytes", inner.size(module.to_ctx())),
            AddressSpace::Storage { access } if access == StorageAccess::LOAD => "read".into(),
            AddressSpace::Storage { access } if access == StorageAccess::LOAD | StorageAccess::STORE => {
                "read_write".into()
            }
            other => format!("{other:?}"),
        };
        let name = variable.name.clone().unwrap_or_default();
        all.push((Declared { index: binding.binding, name, access }, main[handle]));
    }
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

#[test]
fn bindings_are_those_of_the_shader_and_each_is_used_as_declared() {
    for kernel in kernels() {
        let validated = validated(&kernel.source()).unwrap_or_else(|error| panic!("{kernel}: {error}"));
        let (module, info) = &*validated;
        assert_eq!(module.entry_points.len(), 1, "{kernel}");
        let in_rust: Vec<Declared> = kernel
            .bindings()
            .iter()
            .map(|binding| Declared {
                index: binding.index,
                name: binding.name.into(),
                access: match binding.access {
                    Access::Params(bytes) | Access::StepIndex(bytes) => format!("uniform of {bytes} bytes"),
                    Access::Read => "read".into(),
                    Access::ReadWrite => "read_write".into(),
                },
            })
            .collect();
        let (in_shader, uses): (Vec<Declared>, Vec<GlobalUse>) = declared(module, info).into_iter().unzip();
        assert_eq!(in_shader, in_rust, "{kernel}: the shader, then its Rust side");
        for (declared, used) in in_shader.iter().zip(uses) {
            let name = &declared.name;
            assert!(!used.is_empty(), "{kernel}: {name} is declared and not used");
            let written = used.contains(GlobalUse::WRITE);
            assert_eq!(written, declared.access == "read_write", "{kernel}: {name} is used as {used:?}");
        }
        let numbers: BTreeSet<u32> = in_rust.iter().map(|binding| binding.index).collect();
        assert_eq!(numbers.len(), in_rust.len(), "{kernel}: a binding number is taken twice");
    }
}

/// The planner and the checker count in words of 32 bits. Arrays are of f32, one for each row of a tile, or in w of
/// four k together. (The order of rows and 16-bit storage are of u32.)
#[test]
fn storage_arrays_hold_words_or_rows_of_them() {
    for kernel in kernels() {
        let (module, _) = specialised(kernel);
        for (_, variable) in module.global_variables.iter() {
            if !matches!(variable.space, AddressSpace::Storage { .. }) {
                continue;
            }
            let TypeInner::Array { base, stride, .. } = module.types[variable.ty].inner else {
                panic!("{kernel}: {:?} is not an array", variable.name);
            };
            let name = variable.name.as_deref().unwrap_or_default();
            let words =
                ["order", "slots", "lengths", "resets"].contains(&name) || packed(kernel).contains(&name);
            let word = if words { Scalar::U32 } else { Scalar::F32 };
            // A kernel that computes in f16 has operands of f16, at other bindings than y.
            if has_matrices(&module) && ["w", "x", "vector_f16", "next_f16"].contains(&name) {
                let f16s = match module.types[base].inner {
                    TypeInner::Scalar(Scalar::F16) => 1,
                    TypeInner::Vector { size, scalar: Scalar::F16 } => size as u32,
                    TypeInner::Struct { span: 16, .. } if name != "w" => 8,
                    ref other => panic!("{kernel}: {:?} holds {other:?}", variable.name),
                };
                assert_eq!(stride, 2 * f16s, "{kernel}: {name}");
                assert!(f16s == 4 || name != "w", "{kernel}: {name} of {f16s}");
                continue;
            }
            let f32s = match module.types[base].inner {
                TypeInner::Scalar(scalar) if scalar == word => 1,
                TypeInner::Atomic(scalar) if name == "exchange_buffer" && scalar == Scalar::U32 => 1,
                TypeInner::Vector { size, scalar } if scalar == word => size as u32,
                ref other => panic!("{kernel}: {:?} holds {other:?}", variable.name),
            };
            assert_eq!(stride, 4 * f32s, "{kernel}: stride of {:?}", variable.name);
            let expected = match name {
                "w" if words => 2,
                "w" => 4,
                _ => rows_of(kernel),
            };
            assert!(f32s == expected || f32s == 1 && name != "w", "{kernel}: {name} of {f32s}");
        }
    }
}

/// `auto` requests the storage buffers that the kernels bind, and no more than every WebGPU device has.
#[test]
fn no_kernel_binds_more_storage_buffers_than_a_device_is_opened_with() {
    let storage = |kernel: &Kernel| kernel.bindings().iter().filter(|b| b.access.is_storage()).count() as u32;
    // For these kernels the planner first checks the device's limit: multi-workgroup kernels, kernels of many
    // steps with resets, and those of matrices that keep h in f16.
    let is_checked_first = |kernel: &Kernel| match kernel {
        Kernel::MultiWorkgroup(_) => false,
        Kernel::Persistent(kernel) => kernel.resets.is_none(),
        Kernel::StepMatrices(kernel) => !kernel.keeps,
        _ => true,
    };
    let kernels = kernels().into_iter().filter(is_checked_first);
    assert_eq!(kernels.map(|kernel| storage(&kernel)).max(), Some(MOST_STORAGE_BUFFERS));
    const { assert!(MOST_STORAGE_BUFFERS <= 8) };
}

#[test]
fn workgroup_sizes_and_memory_are_those_of_the_shader() {
    for kernel in kernels() {
        let (module, _) = specialised(kernel);
        assert_eq!(module.entry_points[0].workgroup_size, [kernel.threads(), 1, 1], "{kernel}");
        let workgroup = module.global_variables.iter().map(|(_, variable)| variable);
        let bytes: u32 = workgroup
            .filter(|variable| variable.space == AddressSpace::WorkGroup)
            .map(|variable| module.types[variable.ty].inner.size(module.to_ctx()))
            .sum();
        assert_eq!(bytes, kernel.workgroup_bytes(), "{kernel}: workgroup memory");
    }
}

/// Name and offset of every member of `name`, and its size.
fn members(module: &Module, name: &str) -> (Vec<(String, usize)>, usize) {
    let found = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name));
    let (_, ty) = found.unwrap_or_else(|| panic!("no {name} in the shader"));
    let TypeInner::Struct { members, span } = &ty.inner else { panic!("{name} is not a struct") };
    let members = members.iter().map(|member| {
        assert_eq!(module.types[member.ty].inner, TypeInner::Scalar(Scalar::U32), "{:?}", member.name);
        (member.name.clone().unwrap_or_default(), member.offset as usize)
    });
    (members.collect(), *span as usize)
}

/// Name and offset of each field, then the padding words of the struct.
macro_rules! layout {
    ($type:ty: $($field:ident)*) => {{
        let mut all = vec![$((stringify!($field).to_owned(), offset_of!($type, $field))),*];
        let fillers = size_of::<$type>() / 4 - all.len();
        let first = all.len();
        all.extend((0..fillers).map(|i| (format!("unused{i}"), 4 * (first + i))));
        (all, size_of::<$type>())
    }};
}

#[test]
fn parameter_structs_lie_as_the_shader_reads_them() {
    let matmul = layout!(matmul::Params: rows batch padded first times reverse x_step x_row out_dir out_step out_tile tile out_column order order_rows skips first_column columns steps);
    let step = layout!(recurrence::Params: batch tiles first steps times reverse xw_dir y_step y_row y_dir repeats first_unit);
    let index = layout!(recurrence::Index: t);
    let pipelining = layout!(pipelining::Params: lag x_dir out_first);
    let exchange = layout!(exchange::Params: completion all words spin_limit before);
    let merge = layout!(merge::Params: words);
    let activate = layout!(activate_rows::Params: rows);
    let mut streams = layout!(streams::Params: batch order_rows first capacity stride);
    // Arrays of Rust are separate members in the shader: for each array one after the other.
    for (at, name) in ["features", "offset"].into_iter().enumerate() {
        for array in 0..streams::ARRAYS {
            streams.0[5 + at * streams::ARRAYS + array].0 = format!("{name}{array}");
        }
    }
    for (at, name) in ["dirs", "dir_stride", "unused0"].into_iter().enumerate() {
        streams.0[5 + 2 * streams::ARRAYS + at].0 = name.into();
    }
    let order = layout!(order_rows::Params: batch padded steps readout);
    for kernel in kernels() {
        let validated = validated(&kernel.source()).unwrap_or_else(|error| panic!("{kernel}: {error}"));
        let module = &validated.0;
        let uniforms = module.global_variables.iter().map(|(_, variable)| variable);
        let uniforms = uniforms.filter(|variable| variable.space == AddressSpace::Uniform);
        for variable in uniforms {
            let name = module.types[variable.ty].name.as_deref().unwrap_or_default();
            let layout = match name {
                "MatmulParams" => &matmul,
                "StepParams" => &step,
                "StepIndex" => &index,
                "PipeliningParams" => &pipelining,
                "ExchangeParams" => &exchange,
                "MergeParams" => &merge,
                "ActivateParams" => &activate,
                "StreamParams" => &streams,
                "OrderParams" => &order,
                _ => panic!("{kernel}: {name} is no struct of parameters"),
            };
            assert_eq!(members(module, name), *layout, "{kernel}");
        }
    }
}

#[test]
fn every_constant_of_a_shader_is_set_and_none_besides() {
    for kernel in kernels() {
        let validated = validated(&kernel.source()).unwrap_or_else(|error| panic!("{kernel}: {error}"));
        let module = &validated.0;
        let in_shader: BTreeSet<&str> =
            module.overrides.iter().filter_map(|(_, constant)| constant.name.as_deref()).collect();
        let constants = kernel.constants();
        let in_rust: BTreeSet<&str> = constants.iter().map(|(name, _)| *name).collect();
        assert_eq!(in_shader, in_rust, "{kernel}");
        assert_eq!(in_rust.len(), constants.len(), "{kernel}: a constant is set twice");
    }
}

/// Every file under `shaders/`.
fn shader_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut files = Vec::new();
    for folder in ["", "shared", "cells", "exchange", "matrices", "resets"].map(|name| root.join(name)) {
        for entry in folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a folder can be listed").path();
            if path.is_file() {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 10, "only {} shader files found", files.len());
    files
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_shader_file_is_in_some_kernel() {
    let kernels = kernels();
    let sources: Vec<String> = kernels.iter().map(|kernel| kernel.source()).collect();
    for path in shader_files() {
        let text = read(&path);
        assert!(sources.iter().any(|source| source.contains(&text)), "{} is unused", path.display());
    }
}

/// The names a text calls, comments left out.
fn calls(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for line in text.lines() {
        let code = line.split("//").next().unwrap_or_default();
        for (at, _) in code.match_indices('(') {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let before = &code[..at];
            names.push(&before[before.trim_end_matches(word).len()..]);
        }
    }
    names
}

/// Raw `tanh` and `exp` may give NaN for large arguments. So only files of activations call `exp`, on a clamped argument.
#[test]
fn no_activation_outside_its_file() {
    let transcendental = ["tanh", "exp", "exp2", "pow", "log", "log2", "sinh", "cosh", "atanh"];
    let mut in_activation = Vec::new();
    for path in shader_files() {
        let text = read(&path);
        let found: Vec<&str> =
            calls(&text).into_iter().filter(|name| transcendental.contains(name)).collect();
        let calls = [("activation", "exp(-clamp("), ("softmax", "exp(clamp(")];
        if let Some((_, call)) = calls.iter().find(|(file, _)| path.ends_with(format!("shared/{file}.wgsl")))
        {
            in_activation.extend(found.into_iter().map(str::to_owned));
            assert!(text.contains(call), "the argument of exp is not clamped");
        } else {
            assert!(found.is_empty(), "{} calls {found:?}", path.display());
        }
    }
    in_activation.sort();
    in_activation.dedup();
    assert_eq!(in_activation, ["exp", "log"]);
}

/// `clamp` drops a NaN. So numbers are clamped only where NaN is restored, in the text of not_finite.wgsl and of the
/// files that it names.
#[test]
fn numbers_are_clamped_where_nan_is_restored() {
    for path in shader_files() {
        let allowed =
            ["activation", "softmax", "not_finite", "half_f16"].map(|name| format!("shared/{name}.wgsl"));
        let clamps = calls(&read(&path)).contains(&"clamp");
        assert!(!clamps || allowed.iter().any(|file| path.ends_with(file)), "{} clamps", path.display());
    }
    let activation =
        read(&shader_files().into_iter().find(|path| path.ends_with("activation.wgsl")).unwrap());
    assert!(activation.contains("return or_nan(of_number(function, alpha, beta, x), x);"));
    let uses = calls(&activation).iter().filter(|name| **name == "of_number").count();
    assert_eq!(uses, 2, "the function and its call");
}

/// These tests can fail: each fault is found, by the stage that should find it.
#[test]
fn faults_are_refused() {
    let functions = functions(Activation::SIGMOID, Activation::TANH, None);
    let cell = StepCell::GruAfter { takes: false };
    let (sizes, precision) = (recurrence::Sizes::all(7, 7), Precision::default());
    let shape = step::Shape::new(8, [1, 1], true);
    let rows = Rows::Four;
    let kernel = Step { cell, functions, sizes, precision, rows, shape, pipelined: false };
    let kernel = Kernel::from(kernel);
    let (source, constants) = (kernel.source(), kernel.constants());
    specialise(&source, &constants).expect("the source as it is");

    for (from, to) in [
        ("let dir = group.z;", "let dir = group.q;"),
        ("store_y(dir, tile, unit, h, neighbour);", "store_y(dir, tile, unit, h);"),
        ("sum0_0_0 += part0_0_0;", "sum0_0_0 += 1u;"),
        ("h_next[state] = h;", "h_prev[state] = h;"),
        ("var<uniform> params", "var<storage, read_write> params: array<u32>; var<uniform> other"),
        ("blend(z, h, n)", "blend(z, n)"),
        ("@compute", "@vertex"),
    ] {
        assert!(source.contains(from), "{from} is not in the source any more");
        let result = specialise(&source.replace(from, to), &constants);
        assert!(result.is_err(), "{to} passes");
    }

    let truncated = specialise(&source[..source.len() - 3], &constants);
    assert!(truncated.is_err(), "a truncated source passes");
    let missing = specialise(&source, &constants[1..]).expect_err("K is not set");
    assert!(missing.contains('K'), "{missing}");
    let unknown = [&constants[..], &[("HEIGHT", 1.0)]].concat();
    let unknown = specialise(&source, &unknown).expect_err("there is no HEIGHT");
    assert!(unknown.contains("HEIGHT"), "{unknown}");

    // Reflection finds a binding that moved, one that changed its access, and one that is not used.
    let at = |text: &str| {
        let (module, info) = validate(text).expect("still valid");
        declared(&module, &info)
    };
    let good = at(&source);
    assert_ne!(at(&source.replace("@binding(5)", "@binding(11)")), good);
    assert_ne!(at(&source.replace("var<storage, read> xw", "var<storage, read_write> xw")), good);
    assert_ne!(at(&source.replace("                store_y(dir, tile, unit, h, neighbour);\n", "")), good);
}

//! SPIR-V as wgpu passes it to a Vulkan driver.

use naga::back::{PipelineConstants, msl, pipeline_constants::process_overrides, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{
    BinaryOperator, Binding, Block, BuiltIn, Expression, Function, Handle, Literal, LocalVariable, Module,
    Range, Scalar, ShaderStage, Span, Statement, Type, TypeInner,
};

use crate::Result;

/// A kernel's text with its constants set.
pub struct Shader {
    module: Module,
    info: ModuleInfo,
}

impl Shader {
    /// Reads WGSL.
    ///
    /// # Errors
    /// The error of naga.
    pub fn new(source: &str, constants: &[(&'static str, f64)]) -> Result<Self> {
        let options =
            naga::front::wgsl::Options { parse_doc_comments: false, capabilities: Capabilities::all() };
        let parsed = naga::front::wgsl::Frontend::new_with_options(options).parse(source);
        let module = parsed.map_err(|error| error.emit_to_string(source))?;
        let info = validate(&module)?;
        let constants: PipelineConstants =
            constants.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let entry = Some((ShaderStage::Compute, "main"));
        let (module, info) = process_overrides(&module, &info, entry, &constants)?;
        Ok(Self { module: module.into_owned(), info: info.into_owned() })
    }

    /// As wgpu-hal 30 writes it for a device of Vulkan 1.3. `checks_buffers` is whether the hardware checks accesses
    /// to buffers.
    ///
    /// # Errors
    /// The error of naga.
    pub fn words(&self, checks_buffers: bool) -> Result<Vec<u32>> {
        let buffer = if checks_buffers { BoundsCheckPolicy::Unchecked } else { BoundsCheckPolicy::Restrict };
        let options = spv::Options {
            lang_version: (1, 6),
            flags: spv::WriterFlags::LABEL_VARYINGS,
            bounds_check_policies: BoundsCheckPolicies {
                index: BoundsCheckPolicy::Restrict,
                buffer,
                image_load: BoundsCheckPolicy::Unchecked,
                binding_array: BoundsCheckPolicy::Unchecked,
            },
            // As the library sets it.
            zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
            force_loop_bounding: true,
            ..spv::Options::default()
        };
        let pipeline =
            spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: "main".to_owned() };
        Ok(spv::write_vec(&self.module, &self.info, &options, Some(&pipeline))?)
    }

    /// As Metal, with the checks of [`Shader::words`] for hardware that checks accesses to buffers.
    ///
    /// # Errors
    /// The error of naga.
    pub fn metal(&self) -> Result<String> {
        let options = msl::Options {
            lang_version: (2, 4),
            bounds_check_policies: BoundsCheckPolicies {
                index: BoundsCheckPolicy::Restrict,
                buffer: BoundsCheckPolicy::Unchecked,
                image_load: BoundsCheckPolicy::Unchecked,
                binding_array: BoundsCheckPolicy::Unchecked,
            },
            zero_initialize_workgroup_memory: false,
            // NVRTC does not unroll a loop with naga's own counter, so every array indexed in such a loop would be in
            // memory. Whether NVIDIA's Vulkan driver unrolls them is unknown.
            force_loop_bounding: false,
            ..msl::Options::default()
        };
        let entry_point = Some((ShaderStage::Compute, "main".to_owned()));
        let pipeline = msl::PipelineOptions { entry_point, ..msl::PipelineOptions::default() };
        let (text, _) = msl::write_string(&self.module, &self.info, &options, &pipeline)?;
        Ok(text)
    }

    /// The same with the step loop within another loop. A compiler's estimate assumes 8 trips of every loop, so the
    /// two estimates differ by 8 · 8 − 8 = 56 steps.
    ///
    /// # Errors
    /// A `main` without a loop that has barriers.
    pub fn nested(&self) -> Result<Self> {
        let mut module = self.module.clone();
        let unsigned = Type { name: None, inner: TypeInner::Scalar(Scalar::U32) };
        let unsigned = module.types.insert(unsigned, Span::UNDEFINED);
        let waits: Vec<Handle<Function>> = functions_that_wait(&module);
        let main = module.entry_points.first_mut().ok_or("a shader without an entry point")?;
        nest(&mut main.function, unsigned, &waits)?;
        let info = validate(&module)?;
        Ok(Self { module, info })
    }
}

fn validate(module: &Module) -> Result<ModuleInfo> {
    Validator::new(ValidationFlags::all(), Capabilities::all())
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::all())
        .validate(module)
        .map_err(|error| format!("{:?}", error.into_inner()).into())
}

/// The functions that have barriers, themselves or in a function that they call. Functions come after those that they
/// call.
fn functions_that_wait(module: &Module) -> Vec<Handle<Function>> {
    let mut found = Vec::new();
    for (handle, function) in module.functions.iter() {
        if block_waits(&function.body, &found) {
            found.push(handle);
        }
    }
    found
}

fn block_waits(block: &Block, known: &[Handle<Function>]) -> bool {
    block.iter().any(|statement| match statement {
        Statement::ControlBarrier(_) | Statement::WorkGroupUniformLoad { .. } => true,
        Statement::Call { function, .. } => known.contains(function),
        Statement::Block(block) => block_waits(block, known),
        Statement::If { accept, reject, .. } => [accept, reject].iter().any(|b| block_waits(b, known)),
        Statement::Switch { cases, .. } => cases.iter().any(|case| block_waits(&case.body, known)),
        Statement::Loop { body, continuing, .. } => {
            [body, continuing].iter().any(|block| block_waits(block, known))
        }
        _ => false,
    })
}

/// The loops in a block, and in the blocks within it, that have barriers.
fn step_loops<'a>(block: &'a mut Block, waits: &[Handle<Function>]) -> Vec<&'a mut Statement> {
    let mut found = Vec::new();
    for statement in block.iter_mut() {
        match statement {
            Statement::Block(block) => found.extend(step_loops(block, waits)),
            Statement::Loop { body, .. } if block_waits(body, waits) => found.push(statement),
            _ => {}
        }
    }
    found
}

/// Puts the step loop into `for (var i = 0u; i <= workgroup_id.x; i++)`, whose number of trips no compiler knows.
fn nest(main: &mut Function, unsigned: Handle<Type>, waits: &[Handle<Function>]) -> Result<()> {
    let is_group = |binding: &Option<Binding>| *binding == Some(Binding::BuiltIn(BuiltIn::WorkGroupId));
    let group = main.arguments.iter().position(|argument| is_group(&argument.binding));
    let group = group.ok_or("`main` does not take its workgroup")? as u32;
    let expressions = &mut main.expressions;
    let mut add = |expression| expressions.append(expression, Span::UNDEFINED);
    let (zero, one) = (add(Expression::Literal(Literal::U32(0))), add(Expression::Literal(Literal::U32(1))));
    let group = add(Expression::FunctionArgument(group));
    let count = LocalVariable { name: None, ty: unsigned, init: Some(zero) };
    let count = main.local_variables.append(count, Span::UNDEFINED);
    let count = add(Expression::LocalVariable(count));
    let first = add(Expression::Load { pointer: count });
    let last = add(Expression::AccessIndex { base: group, index: 0 });
    let is_over = BinaryOperator::Greater;
    let is_over = add(Expression::Binary { op: is_over, left: first, right: last });
    let again = add(Expression::Load { pointer: count });
    let next = add(Expression::Binary { op: BinaryOperator::Add, left: again, right: one });
    let block = |statements: Vec<Statement>| Block::from_vec(statements);
    let ends = Statement::If {
        condition: is_over,
        accept: block(vec![Statement::Break]),
        reject: block(Vec::new()),
    };
    let mut loops = step_loops(&mut main.body, waits);
    let [step] = loops.as_mut_slice() else {
        return Err(format!("`main` has {} loops whose threads wait, expected 1", loops.len()).into());
    };
    let inner = std::mem::replace(*step, Statement::Break);
    **step = Statement::Loop {
        body: block(vec![Statement::Emit(Range::new_from_bounds(first, is_over)), ends, inner]),
        continuing: block(vec![
            Statement::Emit(Range::new_from_bounds(again, next)),
            Statement::Store { pointer: count, value: next },
        ]),
        break_if: None,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
        var<workgroup> shared_word: u32;
        @group(0) @binding(0) var<storage, read_write> y: array<u32>;
        fn meet() { workgroupBarrier(); }
        @compute @workgroup_size(64)
        fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
            for (var i = 0u; i < 4u; i++) { y[i] = lane; }
            for (var t = 0u; t < y[0]; t++) { shared_word = t; meet(); y[lane] += shared_word; }
        }";

    fn loops(shader: &Shader) -> (usize, usize) {
        fn of(block: &Block, depth: usize) -> (usize, usize) {
            block.iter().fold((0, depth), |(count, deepest), statement| {
                let (more, deep) = match statement {
                    Statement::Loop { body, .. } => {
                        let (count, deep) = of(body, depth + 1);
                        (count + 1, deep)
                    }
                    Statement::Block(block) => of(block, depth),
                    _ => (0, depth),
                };
                (count + more, deepest.max(deep))
            })
        }
        of(&shader.module.entry_points[0].function.body, 0)
    }

    #[test]
    fn the_loop_that_waits_is_nested_and_no_other() {
        let shader = Shader::new(TEXT, &[]).unwrap();
        assert_eq!(loops(&shader), (2, 1));
        let nested = shader.nested().unwrap();
        assert_eq!(loops(&nested), (3, 2));
        assert!(nested.words(true).unwrap().len() > shader.words(true).unwrap().len());
        let without = Shader::new(&TEXT.replace("meet(); y", "y"), &[]).unwrap();
        let error = without.nested().err().unwrap().to_string();
        assert!(error.contains("0 loops"), "{error}");
    }
}

//! A Vulkan driver that compiles without its hardware, and its compiler's report on a shader.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};

use ash::{khr, vk};

use crate::Result;

/// The first device of the driver that the loader finds.
pub struct Gpu {
    /// Keeps the driver loaded.
    _entry: ash::Entry,
    instance: ash::Instance,
    device: ash::Device,
    executables: khr::pipeline_executable_properties::Device,
    /// The device's name.
    pub name: String,
    /// The driver's name and version.
    pub driver: String,
    /// Whether the hardware checks accesses to buffers, so that wgpu leaves the shader's own checks out.
    pub checks_buffers: bool,
    /// Whether it has the cooperative matrices that kernels are written for.
    pub has_matrices: bool,
    /// Its limits.
    pub limits: vk::PhysicalDeviceLimits,
}

/// How a shader reaches a binding.
pub type Bindings = Vec<(u32, vk::DescriptorType)>;

/// The compiler's report on a shader.
#[derive(Debug, Clone, Default)]
pub struct Compiled {
    /// Its figures, by name.
    pub figures: BTreeMap<String, u64>,
    /// Threads of a subgroup.
    pub subgroup: u32,
    /// The disassembly; empty where it was not requested.
    pub assembly: String,
}

impl Compiled {
    /// The figure of this name.
    ///
    /// # Errors
    /// A figure that the driver does not report: another version may name it differently.
    pub fn figure(&self, name: &str) -> Result<u64> {
        let known = || self.figures.keys().cloned().collect::<Vec<_>>().join(", ");
        let figure = self.figures.get(name).copied();
        figure.ok_or_else(|| format!("the driver tells no `{name}`; it tells {}", known()).into())
    }
}

impl Gpu {
    /// Opens it, with the features of wgpu that affect compiled code.
    ///
    /// # Errors
    /// No device, or one whose driver cannot report on compiled code.
    pub fn open() -> Result<Self> {
        // SAFETY: the library is the system's Vulkan loader, which may be loaded and initialised anywhere.
        let entry = unsafe { ash::Entry::load() }?;
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let create = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: the structures live until the call has ended.
        let instance = unsafe { entry.create_instance(&create, None) }?;
        // SAFETY: the instance lives.
        let physical = unsafe { instance.enumerate_physical_devices() }?;
        let physical = *physical.first().ok_or("the driver shows no device")?;
        // SAFETY: the device is of this instance.
        let extensions = unsafe { instance.enumerate_device_extension_properties(physical) }?;
        let has = |name: &CStr| extensions.iter().any(|e| e.extension_name_as_c_str() == Ok(name));
        let mut wanted = vec![khr::pipeline_executable_properties::NAME];
        if !has(wanted[0]) {
            return Err(
                "the driver cannot tell what it compiles (VK_KHR_pipeline_executable_properties)".into()
            );
        }

        let mut robustness = vk::PhysicalDeviceRobustness2FeaturesEXT::default();
        let mut matrices = vk::PhysicalDeviceCooperativeMatrixFeaturesKHR::default();
        let mut features = vk::PhysicalDeviceFeatures2::default();
        let [has_robustness, has_matrices] =
            [ash::ext::robustness2::NAME, khr::cooperative_matrix::NAME].map(has);
        if has_robustness {
            features = features.push_next(&mut robustness);
        }
        if has_matrices {
            features = features.push_next(&mut matrices);
        }
        // SAFETY: each structure of the chain is of an extension that the device has, and outlives the call.
        unsafe { instance.get_physical_device_features2(physical, &mut features) };
        let base = features.features;
        let checks_buffers = robustness.robust_buffer_access2 == vk::TRUE;
        let has_matrices = matrices.cooperative_matrix == vk::TRUE;
        let mut on_matrices =
            vk::PhysicalDeviceCooperativeMatrixFeaturesKHR::default().cooperative_matrix(true);
        let mut on_robustness = vk::PhysicalDeviceRobustness2FeaturesEXT::default()
            .robust_buffer_access2(true)
            .robust_image_access2(robustness.robust_image_access2 == vk::TRUE);
        let mut tells = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default()
            .pipeline_executable_info(true);
        let mut v11 = vk::PhysicalDeviceVulkan11Features::default().storage_buffer16_bit_access(has_matrices);
        let mut v12 = vk::PhysicalDeviceVulkan12Features::default()
            .shader_float16(has_matrices)
            .vulkan_memory_model(true)
            .vulkan_memory_model_device_scope(true);
        let on = vk::PhysicalDeviceFeatures::default()
            .robust_buffer_access(base.robust_buffer_access == vk::TRUE)
            .shader_int16(has_matrices);
        if checks_buffers {
            wanted.push(ash::ext::robustness2::NAME);
        }
        if has_matrices {
            wanted.push(khr::cooperative_matrix::NAME);
        }
        let names: Vec<*const c_char> = wanted.iter().map(|name| name.as_ptr()).collect();
        let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
        let mut create = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&names)
            .enabled_features(&on)
            .push_next(&mut tells)
            .push_next(&mut v11)
            .push_next(&mut v12);
        if checks_buffers {
            create = create.push_next(&mut on_robustness);
        }
        if has_matrices {
            create = create.push_next(&mut on_matrices);
        }
        // SAFETY: extensions and features are among those that the device has; all structures outlive the call.
        let device = unsafe { instance.create_device(physical, &create, None) }?;

        let mut about = vk::PhysicalDeviceDriverProperties::default();
        let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut about);
        // SAFETY: the chain is of core Vulkan 1.2, and outlives the call.
        unsafe { instance.get_physical_device_properties2(physical, &mut properties) };
        let of_device = properties.properties;
        let driver = format!("{} {}", text(&about.driver_name), text(&about.driver_info));
        let executables = khr::pipeline_executable_properties::Device::new(&instance, &device);
        let (name, limits) = (text(&of_device.device_name), of_device.limits);
        Ok(Self {
            _entry: entry,
            instance,
            device,
            executables,
            name,
            driver,
            checks_buffers,
            has_matrices,
            limits,
        })
    }

    /// Compiles the shader `main` of SPIR-V `words`, and disassembles it where `whole`.
    ///
    /// # Errors
    /// The errors of the driver.
    pub fn compile(&self, words: &[u32], bindings: &Bindings, whole: bool) -> Result<Compiled> {
        let mut made = Made::new(&self.device);
        let compiled = self.compile_into(&mut made, words, bindings, whole);
        made.destroy();
        compiled
    }

    fn compile_into(
        &self,
        made: &mut Made<'_>,
        words: &[u32],
        bindings: &Bindings,
        whole: bool,
    ) -> Result<Compiled> {
        let create = vk::ShaderModuleCreateInfo::default().code(words);
        // SAFETY: naga validated the module that the words were made of, so they are valid SPIR-V.
        made.module = unsafe { self.device.create_shader_module(&create, None) }?;
        let of = |&(binding, kind): &(u32, vk::DescriptorType)| {
            vk::DescriptorSetLayoutBinding::default()
                .binding(binding)
                .descriptor_type(kind)
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE)
        };
        let of_set: Vec<_> = bindings.iter().map(of).collect();
        let create = vk::DescriptorSetLayoutCreateInfo::default().bindings(&of_set);
        // SAFETY: the bindings outlive the call.
        made.set = unsafe { self.device.create_descriptor_set_layout(&create, None) }?;
        let sets = [made.set];
        let create = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
        // SAFETY: the set's layout lives.
        made.layout = unsafe { self.device.create_pipeline_layout(&create, None) }?;
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(made.module)
            .name(c"main");
        let mut flags = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR;
        if whole {
            flags |= vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
        }
        let create = [vk::ComputePipelineCreateInfo::default().stage(stage).layout(made.layout).flags(flags)];
        // SAFETY: module and layout live, and the layout has every binding of the module.
        let pipelines =
            unsafe { self.device.create_compute_pipelines(vk::PipelineCache::null(), &create, None) };
        made.pipeline = pipelines.map_err(|(_, error)| error)?[0];
        self.told(made.pipeline, whole)
    }

    /// The driver's report on a pipeline, which is one executable.
    fn told(&self, pipeline: vk::Pipeline, whole: bool) -> Result<Compiled> {
        let info = vk::PipelineInfoKHR::default().pipeline(pipeline);
        // SAFETY: the pipeline lives.
        let executables = unsafe { self.executables.get_pipeline_executable_properties(&info) }?;
        let [executable] = executables.as_slice() else {
            return Err(format!("a compute pipeline of {} executables, expected 1", executables.len()).into());
        };
        let mut compiled = Compiled { subgroup: executable.subgroup_size, ..Compiled::default() };
        let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
        // SAFETY: the pipeline lives and was made to tell figures.
        for figure in unsafe { self.executables.get_pipeline_executable_statistics(&info) }? {
            if figure.format == vk::PipelineExecutableStatisticFormatKHR::UINT64 {
                // SAFETY: the format says which member of the union was written.
                compiled.figures.insert(text(&figure.name), unsafe { figure.value.u64 });
            }
        }
        if whole {
            compiled.assembly = self.assembly(&info)?;
        }
        Ok(compiled)
    }

    /// The representation named assembly.
    fn assembly(&self, info: &vk::PipelineExecutableInfoKHR<'_>) -> Result<String> {
        let get = self.executables.fp().get_pipeline_executable_internal_representations_khr;
        let device = self.device.handle();
        let mut count = 0;
        // SAFETY: without a place to write to only the count is written.
        unsafe { get(device, info, &mut count, std::ptr::null_mut()) }.result()?;
        let mut all = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
        // SAFETY: there is place for so many; without places for their texts only sizes are written.
        unsafe { get(device, info, &mut count, all.as_mut_ptr()) }.result()?;
        let mut texts: Vec<Vec<u8>> = all.iter().map(|of| vec![0; of.data_size]).collect();
        for (of, text) in all.iter_mut().zip(&mut texts) {
            of.p_data = text.as_mut_ptr().cast();
        }
        // SAFETY: each place has the size that was told, and outlives the call.
        unsafe { get(device, info, &mut count, all.as_mut_ptr()) }.result()?;
        let is_assembly = |of: &vk::PipelineExecutableInternalRepresentationKHR<'_>| {
            of.is_text == vk::TRUE && text(&of.name) == "Assembly"
        };
        let at = all.iter().position(is_assembly).ok_or("the driver does not disassemble")?;
        let bytes = texts.swap_remove(at);
        let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // SAFETY: every object of the device is destroyed, and nothing else has its handle.
        unsafe {
            self.device.destroy_device(None);
            self.instance.destroy_instance(None);
        }
    }
}

/// The objects made to compile one shader.
struct Made<'a> {
    device: &'a ash::Device,
    module: vk::ShaderModule,
    set: vk::DescriptorSetLayout,
    layout: vk::PipelineLayout,
    pipeline: vk::Pipeline,
}

impl<'a> Made<'a> {
    fn new(device: &'a ash::Device) -> Self {
        let (module, set) = (vk::ShaderModule::null(), vk::DescriptorSetLayout::null());
        Self { device, module, set, layout: vk::PipelineLayout::null(), pipeline: vk::Pipeline::null() }
    }

    fn destroy(self) {
        // SAFETY: each is of this device and in no use, or null, which is ignored.
        unsafe {
            self.device.destroy_pipeline(self.pipeline, None);
            self.device.destroy_pipeline_layout(self.layout, None);
            self.device.destroy_descriptor_set_layout(self.set, None);
            self.device.destroy_shader_module(self.module, None);
        }
    }
}

/// A name in an array of fixed size.
fn text(chars: &[c_char]) -> String {
    let bytes = chars.iter().map(|c| *c as u8).take_while(|byte| *byte != 0);
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}

//! Suggestions for names that are not there.

use wgru::Error;

/// `; did you mean "fc"?` if one of `names` is close to `wanted`, else nothing.
pub fn suggestion<S: AsRef<str>>(wanted: &str, names: &[S]) -> String {
    let near = names.iter().map(AsRef::as_ref).filter_map(|name| Some((distance(wanted, name)?, name)));
    let nearest = near.min_by_key(|(distance, _)| *distance);
    nearest.map_or_else(String::new, |(_, name)| format!("; did you mean \"{name}\"?"))
}

/// Typing errors between two names, whatever their case, if they are few for the name's length. Of tensors, `fc.weight`, only the module's name
/// counts.
fn distance(wanted: &str, name: &str) -> Option<usize> {
    let (wanted, name) = (wanted.to_lowercase(), name.to_lowercase());
    let (wanted, name) = match (wanted.rsplit_once('.'), name.rsplit_once('.')) {
        (Some((wanted, tensor)), Some((name, other))) if tensor == other => (wanted, name),
        _ => (&*wanted, &*name),
    };
    let distance = strsim::osa_distance(wanted, name);
    (distance <= wanted.chars().count().div_ceil(3).min(3)).then_some(distance)
}

/// The suggestion for an error of the library that lists what is there. Of the names that options gave, `given`, it is for the one that the
/// error quotes.
pub fn for_error(error: &Error, given: &[&str]) -> String {
    match error {
        Error::MissingTensor { name, found, .. } => suggestion(name, found),
        Error::NoDevice { selector, found } => {
            if ["cuda", "gpu", "nvidia", "rocm"].contains(&&*selector.to_lowercase()) {
                return "; a GPU of any vendor is reached by vulkan, metal, dx12 or gl".into();
            }
            let others = ["auto", "cpu", "reference"].map(str::to_owned);
            suggestion(selector, &[&others[..], found].concat())
        }
        // What is found is described: `"rnn" (LSTM)`.
        Error::Ambiguous { what, found } => {
            let name = |found: &String| match found.split('"').nth(1) {
                Some(quoted) => quoted.trim_end_matches('.').to_owned(),
                None => found.split([' ', ':', ',']).next().unwrap_or_default().to_owned(),
            };
            let wanted = given.iter().find(|wanted| what.contains(&format!("\"{wanted}\"")));
            let names: Vec<String> = found.iter().map(name).collect();
            wanted.map_or_else(String::new, |wanted| suggestion(wanted, &names))
        }
        Error::File { fault } => for_error(fault, given),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names_are_suggested() {
        let names = ["fc", "head.weight", "CO2_ppm", "gru_1"];
        let of = |wanted| suggestion(wanted, &names);
        assert_eq!(of("fx"), "; did you mean \"fc\"?");
        assert_eq!(of("haed.weight"), "; did you mean \"head.weight\"?");
        assert_eq!(of("co2_ppm"), "; did you mean \"CO2_ppm\"?");
        assert_eq!(of("gru1"), "; did you mean \"gru_1\"?");
        assert_eq!(of("lstm"), "");
        assert_eq!(of("output.weight"), "", "a tensor's own name makes no module close");
    }
}

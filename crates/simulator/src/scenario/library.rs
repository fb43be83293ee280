//! The built-in scenarios.

const SCENARIOS: [(&str, &str); 1] = [("baseline", include_str!("../../scenarios/baseline.toml"))];

/// Names of the built-in scenarios.
pub fn builtin_names() -> Vec<&'static str> {
    SCENARIOS.iter().map(|(name, _)| *name).collect()
}

/// The text of a built-in scenario.
pub fn builtin_source(name: &str) -> Option<&'static str> {
    SCENARIOS.iter().find(|(known, _)| *known == name).map(|(_, source)| *source)
}

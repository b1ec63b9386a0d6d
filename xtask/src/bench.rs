pub(crate) fn main(_: &[String]) -> Result<(), crate::Stop> { Ok(()) }
pub(crate) mod ratchet { pub(crate) fn step(_: &std::path::Path) -> Result<String, crate::Stop> { Ok(String::new()) } }

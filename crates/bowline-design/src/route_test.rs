//! Route tests: requests in, what the routes make of them out.

/// One route test of a design.
#[derive(Clone, Debug)]
pub struct RouteTest {
    /// As it is written.
    pub written: crate::mistake::Spot<crate::kinds::route_tests::RouteTest>,
}

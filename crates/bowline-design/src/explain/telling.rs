//! An explanation for a person, and for a program.

use super::{Explanation, Leg, Line, PassedOver};
use crate::mistake::Place;
use crate::resolved::Source;
use serde_json::{Value, json};
use std::fmt;

/// A column's width at most. A value that is a sentence would push what follows off the screen.
const WIDE: usize = 44;

/// The explanation for a person.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}", self.request)?;
        writeln!(f, "  {}", self.door)?;
        if let Some(refused) = &self.refused {
            return writeln!(f, "  {refused}");
        }
        let Some(host) = &self.host else { return writeln!(f, "  no host of that name: 404") };
        writeln!(f, "  host {host}")?;
        if !self.passed_over.is_empty() {
            writeln!(f, "\n  passed over")?;
            let asks_for = |passed: &PassedOver| format!("asks for {}", passed.asks_for.join(", or "));
            let widest = |width: &dyn Fn(&PassedOver) -> usize| self.passed_over.iter().map(width).max();
            let name = widest(&|passed| passed.route.chars().count()).unwrap_or(0);
            let wide = widest(&|passed| asks_for(passed).chars().count()).unwrap_or(0).min(WIDE);
            for passed in &self.passed_over {
                let (route, asks_for) = (&passed.route, asks_for(passed));
                writeln!(f, "    {route:name$}  {asks_for:wide$}   {}", passed.place)?;
            }
        }
        let Some(taken) = &self.route else { return writeln!(f, "\n  no rule is met: 404") };
        writeln!(f, "\n  route {}   {}", taken.route, taken.place)?;
        table(f, &taken.lines)?;
        for leg in &taken.legs {
            self::leg(f, leg, taken.legs.len() > 1)?;
        }
        Ok(())
    }
}

fn leg(f: &mut fmt::Formatter<'_>, leg: &Leg, several: bool) -> fmt::Result {
    write!(f, "\n  to {}", leg.operation.as_deref().unwrap_or(&leg.host))?;
    if let Some(subset) = &leg.subset {
        write!(f, " subset {subset}")?;
    }
    if several {
        write!(f, ", {} % of requests", (leg.share * 10_000.0).round() / 100.0)?;
    }
    match &leg.missing {
        Some(why) => writeln!(f, "   503 no host: {why}")?,
        None => writeln!(f, "   {}", leg.endpoints.join(", "))?,
    }
    if let Some(tls) = &leg.tls {
        writeln!(f, "    {:<10}  {tls}", "tls")?;
    }
    table(f, &leg.lines)
}

/// The lines, their columns aligned.
fn table(f: &mut fmt::Formatter<'_>, lines: &[Line]) -> fmt::Result {
    let short = |line: &Line| Some(line.value.chars().count()).filter(|width| *width <= WIDE);
    let width = lines.iter().filter_map(short).max().unwrap_or(0);
    lines.iter().try_for_each(|Line { what, value, from }| {
        let from = match from {
            Source::Written(place) if place.resource.is_empty() => place.to_string(),
            Source::Written(place) => format!("{} ({place})", place.resource),
            Source::Default(why) => format!("default: {why}"),
        };
        writeln!(f, "    {what:<10}  {value:<width$}   {from}")
    })
}

impl Explanation {
    /// The explanation for a program.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let lines = |lines: &[Line]| lines.iter().map(line_json).collect::<Vec<_>>();
        let leg = |leg: &Leg| {
            json!({
                "host": leg.host, "subset": leg.subset, "share": leg.share, "operation": leg.operation,
                "endpoints": leg.endpoints, "missing": leg.missing, "tls": leg.tls, "policy": lines(&leg.lines),
            })
        };
        let passed = |passed: &PassedOver| json!({ "route": passed.route, "place": passed.place.to_json(), "asksFor": passed.asks_for });
        json!({
            "request": self.request,
            "door": self.door,
            "refused": self.refused,
            "host": self.host,
            "passedOver": self.passed_over.iter().map(passed).collect::<Vec<_>>(),
            "route": self.route.as_ref().map(|taken| json!({
                "name": taken.route,
                "place": taken.place.to_json(),
                "condition": taken.condition.as_ref().map(Place::to_json),
                "does": lines(&taken.lines),
                "to": taken.legs.iter().map(leg).collect::<Vec<_>>(),
            })),
        })
    }
}

fn line_json(line: &Line) -> Value {
    let (place, default) = match &line.from {
        Source::Written(place) => (Some(place.to_json()), None),
        Source::Default(why) => (None, Some(*why)),
    };
    json!({ "what": line.what, "value": line.value, "place": place, "default": default })
}

//! The page for a browser. Its look stands in `page.html`; here is what it is filled with.
//!
//! Everything that came from outside goes through [`Escaped`].

use std::fmt::{self, Write as _};

use super::{Gauge, Line, OTHERS, Table, View};

const LOOK: &str = include_str!("page.html");
/// Where in the look the contents go.
const HERE: &str = "<!-- contents -->";

/// The page.
pub(super) fn page(view: &View<'_>) -> String {
    let (head, foot) = LOOK.split_once(HERE).unwrap_or((LOOK, ""));
    let mut page = head.to_owned();
    // Writing to a text does not fail.
    let _ = fill(&mut page, view);
    page.push_str(foot);
    page
}

fn fill(page: &mut String, view: &View<'_>) -> fmt::Result {
    writeln!(page, "<h2>Requests: {}</h2>\n<table class=gauges>", view.observed.requests)?;
    view.gauges().iter().try_for_each(|gauge| limit(page, gauge))?;
    page.push_str("</table>\n");
    let requests = view.requests();
    if !requests.is_empty() {
        page.push_str("<div class=wide><table class=log>\n<tr><th>ago<th>method<th>answer<th>path\n");
        requests.iter().try_for_each(|line| request(page, line))?;
        page.push_str("</table></div>\n");
    }
    page.push_str("<h2>In the account</h2>\n<p class=counts>\n");
    for (kind, entries) in view.kinds() {
        writeln!(page, "<span><b>{}</b> {}</span>", entries.len(), Escaped(&spaced(kind)))?;
    }
    page.push_str("</p>\n");
    for (kind, entries) in view.kinds().into_iter().filter(|(_, entries)| !entries.is_empty()) {
        table(page, kind, &Table::of(entries))?;
    }
    let key = Escaped(view.key);
    writeln!(page, "<h2>How to use it</h2>\n<p>The API is below <code>/v1</code>, with the key as the user name:</p>")?;
    writeln!(page, "<pre>curl -u {key}: http://ADDRESS/v1/customers</pre>\n<table>")?;
    for (request, what) in OTHERS {
        writeln!(page, "<tr><td><code>{}</code><td>{}", Escaped(request), Escaped(what))?;
    }
    let (users, pipelines) = (view.users(), view.pipelines());
    writeln!(
        page,
        "</table>\n<p>Users that can own and be assigned: {}. Pipelines: {}.</p>",
        Escaped(&users),
        Escaped(&pipelines)
    )
}

fn limit(page: &mut String, gauge: &Gauge) -> fmt::Result {
    let Gauge { name, now, most, cap, refused } = gauge;
    // A bar never is longer than its frame: the words say by how much it would be.
    let bar = |value: &u64| format!("<meter min=0 max={} value={}></meter>", cap.max(&1), value.min(cap));
    writeln!(
        page,
        "<tr><th>{name}<td>{} {now} now<td>{} {most} at most<td>{cap} allowed<td>{refused} refused",
        bar(now),
        bar(most)
    )
}

fn request(page: &mut String, line: &Line) -> fmt::Result {
    let Line { ago, method, path, ended } = line;
    let class = if ended.starts_with('2') { "good" } else { "bad" };
    writeln!(
        page,
        "<tr><td class=number>{ago}<td>{}<td class={class}>{}<td class=path>{}",
        Escaped(method),
        Escaped(ended),
        Escaped(path)
    )
}

fn table(page: &mut String, kind: &str, table: &Table) -> fmt::Result {
    write!(page, "<h3>{}</h3>\n<div class=wide><table>\n<tr>", Escaped(&spaced(kind)))?;
    table.columns.iter().try_for_each(|column| write!(page, "<th>{}", Escaped(column)))?;
    for row in &table.rows {
        page.push_str("\n<tr>");
        for column in &table.columns {
            write!(page, "<td>{}", Escaped(row.get(column).map_or("", String::as_str)))?;
        }
    }
    page.push_str("\n</table></div>\n");
    if table.more > 0 {
        writeln!(page, "<p>... and {} more</p>", table.more)?;
    }
    Ok(())
}

fn spaced(kind: &str) -> String {
    kind.replace('_', " ")
}

/// Text that means nothing in HTML, neither between tags nor within quotes.
pub(super) struct Escaped<'t>(pub(super) &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let (plain, from) = rest.split_at(at);
            let (special, after) = from.split_at(1);
            f.write_str(plain)?;
            f.write_str(match special {
                "&" => "&amp;",
                "<" => "&lt;",
                ">" => "&gt;",
                "\"" => "&quot;",
                _ => "&#39;",
            })?;
            rest = after;
        }
        f.write_str(rest)
    }
}

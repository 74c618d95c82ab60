//! Lines that line up.

/// Puts rows beneath a header, each column as wide as its widest cell.
pub(super) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let header = header.map(str::to_owned);
    let lines: Vec<&[String; N]> = std::iter::once(&header).chain(rows).collect();
    let width = |i: usize| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let show = |line: &&[String; N]| {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    lines.iter().map(show).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_do_not_trail() {
        let rows = [["1".to_owned(), "leader".to_owned()], ["100".to_owned(), String::new()]];
        assert_eq!(table(["NODE", "ROLE"], &rows), "NODE  ROLE\n1     leader\n100");
    }
}

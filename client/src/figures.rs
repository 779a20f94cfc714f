//! Statistics as tables of named figures.

/// Rows of figures, one for a queue or for each shard.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FigureTable {
    columns: &'static [&'static str],
    rows: Vec<Vec<u64>>,
}

impl FigureTable {
    /// Names the figures of some rows. Further columns of a newer server have no name and stay
    /// unread.
    pub(crate) fn new(columns: &'static [&'static str], rows: Vec<Vec<u64>>) -> Self {
        Self { columns, rows }
    }

    /// The names of the columns.
    pub fn columns(&self) -> &'static [&'static str] {
        self.columns
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The figure of a row, 0 where the server has no such column.
    pub fn get(&self, row: usize, column: &str) -> u64 {
        let column = self.columns.iter().position(|name| *name == column);
        let figure = column.and_then(|column| self.rows.get(row)?.get(column));
        figure.copied().unwrap_or(0)
    }

    /// The sum of a column over all rows.
    pub fn sum(&self, column: &str) -> u64 {
        (0..self.len()).map(|row| self.get(row, column)).sum()
    }

    /// The rows as pairs of name and figure.
    pub fn rows(&self) -> impl Iterator<Item = Vec<(&'static str, u64)>> + '_ {
        self.rows.iter().map(|row| self.columns.iter().copied().zip(row.iter().copied()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_name() {
        let table = FigureTable::new(&["a", "b"], vec![vec![1, 2, 99], vec![3, 4, 99]]);
        assert_eq!((table.get(1, "b"), table.sum("a"), table.get(0, "c")), (4, 4, 0));
        assert_eq!(table.rows().next().unwrap(), [("a", 1), ("b", 2)]);
    }
}

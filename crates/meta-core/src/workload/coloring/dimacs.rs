//! Strict reader of the DIMACS graph-colouring format (`.col`).
//!
//! ```text
//! c a comment
//! p edge 3 2
//! e 1 2
//! e 2 3
//! ```
//!
//! The collection's own files list some edges in both directions and disagree about whether the header
//! counts lines or edges, so either count is accepted; everything else is refused by line number.

use super::graph::{Graph, GraphError, MAX_VERTICES};

/// What is wrong with a line, or with the file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DimacsError {
    /// A line is not UTF-8 text.
    #[error("line {line}: not UTF-8 text")]
    NotText {
        /// Line number, from 1.
        line: usize,
    },
    /// A line starts with no known letter or has the wrong number of fields.
    #[error("line {line}: expected \"c …\", \"p edge N M\" or \"e U V\", found {found:?}")]
    Syntax {
        /// Line number, from 1.
        line: usize,
        /// Beginning of the line.
        found: String,
    },
    /// A field is not a plain decimal number.
    #[error("line {line}: {found:?} is not a decimal number of at most 9 digits")]
    Number {
        /// Line number, from 1.
        line: usize,
        /// Beginning of the field.
        found: String,
    },
    /// A second `p` line.
    #[error("line {line}: second problem line, the first is line {first}")]
    SecondProblem {
        /// Line number, from 1.
        line: usize,
        /// Line of the first one.
        first: usize,
    },
    /// An `e` line before the `p` line.
    #[error("line {line}: edge before the problem line")]
    EdgeBeforeProblem {
        /// Line number, from 1.
        line: usize,
    },
    /// The header asks for an impossible number of vertices.
    #[error("line {line}: {found} vertices: must be between 1 and {limit}")]
    VertexCount {
        /// Line number, from 1.
        line: usize,
        /// Vertices asked for.
        found: usize,
        /// [`MAX_VERTICES`].
        limit: usize,
    },
    /// An edge names a vertex outside `1..=vertices`.
    #[error("line {line}: vertex {vertex} must be between 1 and {vertices}")]
    UnknownVertex {
        /// Line number, from 1.
        line: usize,
        /// Vertex as written, from 1.
        vertex: usize,
        /// Vertices in the header.
        vertices: usize,
    },
    /// An edge joins a vertex to itself.
    #[error("line {line}: vertex {vertex} is joined to itself")]
    SelfLoop {
        /// Line number, from 1.
        line: usize,
        /// Vertex as written, from 1.
        vertex: usize,
    },
    /// The file has no `p` line.
    #[error("no problem line in {lines} lines")]
    NoProblem {
        /// Lines read.
        lines: usize,
    },
    /// The header's edge count is neither the number of `e` lines nor of distinct edges.
    #[error(
        "header announces {announced} edges: found {lines} edge lines, {distinct} distinct edges"
    )]
    EdgeCount {
        /// Count in the header.
        announced: usize,
        /// `e` lines in the file.
        lines: usize,
        /// Distinct undirected edges.
        distinct: usize,
    },
    /// The graph rules refused what the line rules let pass.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Reads a DIMACS `.col` file.
///
/// # Errors
/// The first [`DimacsError`] in line order, then the counts.
pub fn parse(bytes: &[u8]) -> Result<Graph, DimacsError> {
    let mut reader = Reader::default();
    let mut lines = 0;
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    for (index, raw) in body.split(|&byte| byte == b'\n').enumerate() {
        lines = index + 1;
        let text = std::str::from_utf8(raw).map_err(|_| DimacsError::NotText { line: lines })?;
        reader.line(lines, text)?;
    }
    let problem = reader.problem.ok_or(DimacsError::NoProblem { lines })?;
    let edge_lines = reader.edges.len();
    let graph = Graph::new(problem.vertices, reader.edges)?;
    let distinct = graph.edge_count();
    if problem.edges != edge_lines && problem.edges != distinct {
        let announced = problem.edges;
        return Err(DimacsError::EdgeCount { announced, lines: edge_lines, distinct });
    }
    Ok(graph)
}

/// Writes a graph in the form [`parse`] reads, each edge once.
#[must_use]
pub fn render(graph: &Graph) -> String {
    let mut text = format!("p edge {} {}\n", graph.vertex_count(), graph.edge_count());
    for (v, w) in graph.edges() {
        text.push_str(&format!("e {} {}\n", v + 1, w + 1));
    }
    text
}

struct Problem {
    line: usize,
    vertices: usize,
    edges: usize,
}

#[derive(Default)]
struct Reader {
    problem: Option<Problem>,
    edges: Vec<(usize, usize)>,
}

impl Reader {
    fn line(&mut self, line: usize, text: &str) -> Result<(), DimacsError> {
        let mut fields = text.split_ascii_whitespace();
        // A comment may hold anything, so only its first field is looked at.
        let rest: [Option<&str>; 5] = match fields.next() {
            None | Some("c") => return Ok(()),
            first => [first, fields.next(), fields.next(), fields.next(), fields.next()],
        };
        match rest {
            [Some("p"), Some("edge" | "edges" | "col"), Some(n), Some(m), None] => {
                self.problem_line(line, n, m)
            }
            [Some("e"), Some(u), Some(v), None, None] => self.edge_line(line, u, v),
            _ => Err(DimacsError::Syntax { line, found: excerpt(text) }),
        }
    }

    fn problem_line(&mut self, line: usize, n: &str, m: &str) -> Result<(), DimacsError> {
        if let Some(first) = &self.problem {
            return Err(DimacsError::SecondProblem { line, first: first.line });
        }
        let (vertices, edges) = (number(line, n)?, number(line, m)?);
        if vertices == 0 || vertices > MAX_VERTICES {
            return Err(DimacsError::VertexCount { line, found: vertices, limit: MAX_VERTICES });
        }
        self.problem = Some(Problem { line, vertices, edges });
        Ok(())
    }

    fn edge_line(&mut self, line: usize, u: &str, v: &str) -> Result<(), DimacsError> {
        let Some(problem) = &self.problem else {
            return Err(DimacsError::EdgeBeforeProblem { line });
        };
        let (from, to) = (number(line, u)?, number(line, v)?);
        for vertex in [from, to] {
            if vertex == 0 || vertex > problem.vertices {
                let vertices = problem.vertices;
                return Err(DimacsError::UnknownVertex { line, vertex, vertices });
            }
        }
        if from == to {
            return Err(DimacsError::SelfLoop { line, vertex: from });
        }
        self.edges.push((from - 1, to - 1));
        Ok(())
    }
}

fn number(line: usize, field: &str) -> Result<usize, DimacsError> {
    // `parse` alone would accept a leading plus sign.
    let plain = field.len() <= 9 && field.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = if plain { field.parse().ok() } else { None };
    parsed.ok_or_else(|| DimacsError::Number { line, found: excerpt(field) })
}

/// The first few characters, so that a hostile line cannot flood a log.
fn excerpt(text: &str) -> String {
    text.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &str) -> DimacsError {
        parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn duplicate_and_reversed_edges_count_once() {
        for header in ["p edge 3 2", "p col 3 4"] {
            let text = format!("c both ways\n{header}\r\ne 1 2\ne 2 1\n\ne 2 3\ne 2 3\n");
            let graph = parse(text.as_bytes()).unwrap();
            assert_eq!((graph.vertex_count(), graph.edge_count()), (3, 2));
        }
    }

    #[test]
    fn hostile_files_are_refused_by_line() {
        let cases: [(&str, DimacsError); 14] = [
            ("", DimacsError::NoProblem { lines: 1 }),
            ("c only\nc text\n", DimacsError::NoProblem { lines: 2 }),
            ("e 1 2\n", DimacsError::EdgeBeforeProblem { line: 1 }),
            ("p edge 2 1\np edge 2 1\n", DimacsError::SecondProblem { line: 2, first: 1 }),
            ("p edge 0 0\n", DimacsError::VertexCount { line: 1, found: 0, limit: 2000 }),
            ("p edge 2001 0\n", DimacsError::VertexCount { line: 1, found: 2001, limit: 2000 }),
            ("p edge 2 1\ne 1 3\n", DimacsError::UnknownVertex { line: 2, vertex: 3, vertices: 2 }),
            ("p edge 2 1\ne 0 1\n", DimacsError::UnknownVertex { line: 2, vertex: 0, vertices: 2 }),
            ("p edge 2 1\nc x\ne 2 2\n", DimacsError::SelfLoop { line: 3, vertex: 2 }),
            ("p edge 2 1\ne 1 +2\n", DimacsError::Number { line: 2, found: "+2".into() }),
            (
                "p edge 2 99999999999\n",
                DimacsError::Number { line: 1, found: "99999999999".into() },
            ),
            ("p edge 2 1 7\n", DimacsError::Syntax { line: 1, found: "p edge 2 1 7".into() }),
            ("p edge 2 1\ne 1\n", DimacsError::Syntax { line: 2, found: "e 1".into() }),
            ("p edge 3 3\ne 1 2\n", DimacsError::EdgeCount { announced: 3, lines: 1, distinct: 1 }),
        ];
        for (text, expected) in cases {
            assert_eq!(refused(text), expected, "{text:?}");
        }
        assert_eq!(parse(b"p edge 2 1\ne 1 \xff\n"), Err(DimacsError::NotText { line: 2 }));
        assert!(matches!(refused(&format!("x{}", "y".repeat(1000))),
            DimacsError::Syntax { line: 1, found } if found.len() == 32));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn what_is_written_is_read_back(
            edges in proptest::collection::vec((0_usize..20, 0_usize..20), 0..80),
        ) {
            let proper = edges.into_iter().filter(|&(v, w)| v != w);
            let graph = Graph::new(20, proper).unwrap();
            prop_assert_eq!(parse(render(&graph).as_bytes()).unwrap(), graph);
        }
    }
}

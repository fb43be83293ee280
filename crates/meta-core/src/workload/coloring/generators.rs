//! Graph generators: two exact families of the DIMACS collection and seeded random ones.
//!
//! Random graphs draw from [`Stream`]s named by the generator and all its arguments, so a (generator,
//! arguments) pair is one graph for ever. Probabilities are in permille.

use super::graph::{Graph, GraphError};
use crate::rng::Stream;

/// Grid size of the unit square in which geometric graphs place their vertices.
const GRID: u64 = 1 << 20;

/// The queen graph: squares of a `rows` × `cols` board, joined when a queen moves between them.
///
/// # Errors
/// [`GraphError::VertexCount`] for an empty or too large board.
pub fn queen(rows: usize, cols: usize) -> Result<Graph, GraphError> {
    let squares = rows.saturating_mul(cols);
    check_size(squares)?;
    let attacks = |a: usize, b: usize| {
        let (row, col) = ((a / cols).abs_diff(b / cols), (a % cols).abs_diff(b % cols));
        row == 0 || col == 0 || row == col
    };
    Graph::new(squares, pairs(squares).filter(|&(a, b)| attacks(a, b)))
}

/// The Mycielski graph `myciel<k>` of the DIMACS collection: no triangles, chromatic number k + 1.
///
/// `myciel2` is the pentagon; each step turns n vertices and m edges into 2n + 1 and 3m + n.
///
/// # Errors
/// [`GraphError::VertexCount`] when `k` is below 1 or the graph would be too large.
pub fn mycielski(k: usize) -> Result<Graph, GraphError> {
    // myciel1 is a single edge with two colours; myciel10 has 1535 vertices, myciel11 is too large.
    let vertices = if (1..=10).contains(&k) { 3 * (1_usize << (k - 1)) - 1 } else { 0 };
    check_size(vertices)?;
    let mut n = 2;
    let mut edges = vec![(0, 1)];
    for _ in 1..k {
        let copies: Vec<_> =
            edges.iter().flat_map(|&(v, w)| [(v, w), (v + n, w), (v, w + n)]).collect();
        edges = copies;
        edges.extend((0..n).map(|v| (v + n, 2 * n)));
        n = 2 * n + 1;
    }
    Graph::new(n, edges)
}

/// The Erdős–Rényi graph G(n, p).
///
/// # Errors
/// [`GraphError::VertexCount`].
pub fn gnp(vertices: usize, p_permille: u64, seed: u64) -> Result<Graph, GraphError> {
    check_size(vertices)?;
    let mut stream = stream("gnp", &[vertices as u64, p_permille, seed]);
    let edges: Vec<_> =
        pairs(vertices).filter(|_| stream.uniform_below(1000) < p_permille).collect();
    Graph::new(vertices, edges)
}

/// A random geometric graph: uniform points of the unit square, joined when closer than the radius.
///
/// # Errors
/// [`GraphError::VertexCount`].
pub fn geometric(vertices: usize, radius_permille: u64, seed: u64) -> Result<Graph, GraphError> {
    check_size(vertices)?;
    let mut stream = stream("geometric", &[vertices as u64, radius_permille, seed]);
    let points: Vec<(u64, u64)> =
        (0..vertices).map(|_| (stream.uniform_below(GRID), stream.uniform_below(GRID))).collect();
    let radius = u128::from(radius_permille.min(2000) * GRID);
    let near = |a: (u64, u64), b: (u64, u64)| {
        let (dx, dy) = (u128::from(a.0.abs_diff(b.0)), u128::from(a.1.abs_diff(b.1)));
        (dx * dx + dy * dy) * 1_000_000 < radius * radius
    };
    Graph::new(vertices, pairs(vertices).filter(|&(a, b)| near(points[a], points[b])))
}

/// A graph with a hidden colouring of `classes` equal classes: edges only between classes, with
/// probability p (the equipartite model behind Culberson's flat graphs).
///
/// # Errors
/// [`GraphError::VertexCount`].
pub fn planted(
    vertices: usize,
    classes: usize,
    p_permille: u64,
    seed: u64,
) -> Result<Graph, GraphError> {
    check_size(vertices)?;
    let mut stream = stream("planted", &[vertices as u64, classes as u64, p_permille, seed]);
    let class = hidden_classes(vertices, classes, &mut stream);
    let edges: Vec<_> = pairs(vertices)
        .filter(|&(a, b)| class[a] != class[b] && stream.uniform_below(1000) < p_permille)
        .collect();
    Graph::new(vertices, edges)
}

/// A union of random cliques over a hidden colouring, in the manner of Leighton (1979): each of the
/// `cliques` takes one vertex from each of a random number (2 to `classes`) of the classes.
///
/// # Errors
/// [`GraphError::VertexCount`].
pub fn leighton(
    vertices: usize,
    classes: usize,
    cliques: usize,
    seed: u64,
) -> Result<Graph, GraphError> {
    check_size(vertices)?;
    let mut stream = stream("leighton", &[vertices as u64, classes as u64, cliques as u64, seed]);
    let class = hidden_classes(vertices, classes, &mut stream);
    let mut members = vec![Vec::new(); classes.max(1)];
    for (v, &c) in class.iter().enumerate() {
        members[c].push(v);
    }
    members.retain(|vertices| !vertices.is_empty());
    let mut edges = Vec::new();
    for _ in 0..cliques {
        let size = 2 + stream.uniform_below(members.len().saturating_sub(1) as u64) as usize;
        shuffle(&mut members, &mut stream);
        let clique: Vec<usize> = members
            .iter()
            .take(size)
            .map(|class| class[stream.uniform_below(class.len() as u64) as usize])
            .collect();
        edges.extend(pairs(clique.len()).map(|(a, b)| (clique[a], clique[b])));
    }
    Graph::new(vertices, edges)
}

/// The conflict graph of a Latin square of order n (`latin_square` and `qg.order` of the collection):
/// cells joined when in one row or column; n colours, one a symbol.
///
/// # Errors
/// [`GraphError::VertexCount`].
pub fn latin_square(order: usize) -> Result<Graph, GraphError> {
    let cells = order.saturating_mul(order);
    check_size(cells)?;
    let joined = |a: usize, b: usize| a / order == b / order || a % order == b % order;
    Graph::new(cells, pairs(cells).filter(|&(a, b)| joined(a, b)))
}

fn stream(generator: &str, arguments: &[u64]) -> Stream {
    let bytes: Vec<[u8; 8]> = arguments.iter().map(|argument| argument.to_le_bytes()).collect();
    let parts: Vec<&[u8]> = bytes.iter().map(<[u8; 8]>::as_slice).collect();
    Stream::new(&format!("coloring/{generator}"), &parts)
}

/// Refuses a size before anything of that size is built.
fn check_size(vertices: usize) -> Result<(), GraphError> {
    let limit = super::graph::MAX_VERTICES;
    if vertices == 0 || vertices > limit {
        return Err(GraphError::VertexCount { found: vertices, limit });
    }
    Ok(())
}

/// All pairs `a < b` below n.
fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |a| (a + 1..n).map(move |b| (a, b)))
}

/// Classes of almost equal size, shuffled over the vertices.
fn hidden_classes(vertices: usize, classes: usize, stream: &mut Stream) -> Vec<usize> {
    let mut class: Vec<usize> = (0..vertices).map(|v| v % classes.max(1)).collect();
    shuffle(&mut class, stream);
    class
}

/// Fisher–Yates.
fn shuffle<T>(items: &mut [T], stream: &mut Stream) {
    for last in (1..items.len()).rev() {
        items.swap(last, stream.uniform_below(last as u64 + 1) as usize);
    }
}

//! DSATUR (Brélaz 1979): the greedy colouring that always takes the most constrained vertex next.

use super::graph::Graph;

/// A proper colouring and the order in which its vertices were coloured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsaturColoring {
    /// Colour of each vertex, from 0.
    pub colors: Vec<u16>,
    /// Vertices in the order they were coloured.
    pub order: Vec<u32>,
    /// Number of colours used.
    pub color_count: usize,
}

/// Colours the graph: highest saturation first, then highest degree, then lowest index.
#[must_use]
pub fn dsatur(graph: &Graph) -> DsaturColoring {
    let vertices = graph.vertex_count();
    // No vertex sees more colours than it has neighbours.
    let width = (0..vertices).map(|v| graph.degree(v)).max().unwrap_or(0) + 1;
    let mut seen = vec![false; vertices * width];
    let mut saturation = vec![0_usize; vertices];
    let mut colored = vec![false; vertices];
    let mut result = DsaturColoring {
        colors: vec![0; vertices],
        order: Vec::with_capacity(vertices),
        color_count: 0,
    };
    for _ in 0..vertices {
        let rank = |v: usize| (saturation[v], graph.degree(v), std::cmp::Reverse(v));
        let Some(v) = (0..vertices).filter(|&v| !colored[v]).max_by_key(|&v| rank(v)) else {
            break;
        };
        let row = &seen[v * width..(v + 1) * width];
        // A vertex of degree d has d + 1 <= width colours to choose from, so one is free.
        let color = row.iter().position(|&taken| !taken).unwrap_or(width - 1);
        colored[v] = true;
        result.colors[v] = color as u16;
        result.order.push(v as u32);
        result.color_count = result.color_count.max(color + 1);
        for &w in graph.neighbours(v) {
            let slot = &mut seen[w as usize * width + color];
            saturation[w as usize] += usize::from(!*slot);
            *slot = true;
        }
    }
    result
}

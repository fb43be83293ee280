//! Simple undirected graphs of bounded size, with sorted adjacency.

/// Most vertices a graph may have: the solver's tables grow with vertices × colours.
pub const MAX_VERTICES: usize = 2000;

/// Why a graph was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// No vertices, or too many.
    #[error("graph has {found} vertices: must be between 1 and {limit}")]
    VertexCount {
        /// Vertices given.
        found: usize,
        /// [`MAX_VERTICES`].
        limit: usize,
    },
    /// An edge names a vertex that does not exist.
    #[error("edge ({from}, {to}): both ends must be < vertices({vertices})")]
    UnknownVertex {
        /// One end, from 0.
        from: usize,
        /// The other end, from 0.
        to: usize,
        /// Vertices in the graph.
        vertices: usize,
    },
    /// An edge joins a vertex to itself: no proper colouring exists.
    #[error("edge ({vertex}, {vertex}) is a self loop")]
    SelfLoop {
        /// The vertex, from 0.
        vertex: usize,
    },
}

/// A simple undirected graph; vertices are `0..vertex_count()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// `offsets[v]..offsets[v + 1]` is the range of `targets` that holds the neighbours of `v`.
    offsets: Vec<u32>,
    /// Neighbours, ascending within a vertex.
    targets: Vec<u32>,
}

impl Graph {
    /// Builds a graph; an edge given several times or in both directions counts once.
    ///
    /// # Errors
    /// The first [`GraphError`] in edge order.
    pub fn new(
        vertices: usize,
        edges: impl IntoIterator<Item = (usize, usize)>,
    ) -> Result<Self, GraphError> {
        if vertices == 0 || vertices > MAX_VERTICES {
            return Err(GraphError::VertexCount { found: vertices, limit: MAX_VERTICES });
        }
        let mut arcs = Vec::new();
        for (from, to) in edges {
            if from >= vertices || to >= vertices {
                return Err(GraphError::UnknownVertex { from, to, vertices });
            }
            if from == to {
                return Err(GraphError::SelfLoop { vertex: from });
            }
            // Vertices are below 2000, so both casts are exact.
            arcs.push((from as u32, to as u32));
            arcs.push((to as u32, from as u32));
        }
        arcs.sort_unstable();
        arcs.dedup();
        let mut offsets = vec![0_u32; vertices + 1];
        for &(from, _) in &arcs {
            offsets[from as usize + 1] += 1;
        }
        for v in 0..vertices {
            offsets[v + 1] += offsets[v];
        }
        Ok(Self { offsets, targets: arcs.into_iter().map(|(_, to)| to).collect() })
    }

    /// Number of vertices.
    #[must_use]
    pub fn vertex_count(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Number of undirected edges.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.targets.len() / 2
    }

    /// Neighbours of `v`, ascending; empty for a vertex that does not exist.
    #[must_use]
    pub fn neighbours(&self, v: usize) -> &[u32] {
        match (self.offsets.get(v), self.offsets.get(v + 1)) {
            (Some(&from), Some(&to)) => &self.targets[from as usize..to as usize],
            _ => &[],
        }
    }

    /// Number of neighbours of `v`.
    #[must_use]
    pub fn degree(&self, v: usize) -> usize {
        self.neighbours(v).len()
    }

    /// Every edge once, as `(smaller, greater)`, ascending.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.vertex_count()).flat_map(move |v| {
            let higher = self.neighbours(v).iter().map(|&w| w as usize).filter(move |&w| w > v);
            higher.map(move |w| (v, w))
        })
    }

    /// Number of edges whose ends have the same colour; `None` when there is not one colour a vertex.
    #[must_use]
    pub fn conflicts(&self, colors: &[u16]) -> Option<usize> {
        (colors.len() == self.vertex_count())
            .then(|| self.edges().filter(|&(v, w)| colors[v] == colors[w]).count())
    }
}

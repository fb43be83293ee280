//! Tests of generators, solver and instances against facts known independently of them.

use super::dsatur::{DsaturColoring, dsatur};
use super::families::INSTANCES;
use super::generators as gens;
use super::graph::{Graph, GraphError, MAX_VERTICES};
use super::tabucol::tabucol;
use super::*;
use crate::genome::q824::ONE;
use crate::workload::Cost;
use proptest::prelude::*;

/// Vertices and undirected edges.
fn size(graph: &Graph) -> (usize, usize) {
    (graph.vertex_count(), graph.edge_count())
}

fn solve(
    graph: &Graph,
    k: usize,
    parameters: &TabuParameters,
    budget: u64,
    seed: u64,
) -> tabucol::TabuOutcome {
    let mut stream = Stream::new("test", &[&seed.to_le_bytes()]);
    tabucol(graph, k, &dsatur(graph), parameters, budget, &mut stream)
}

#[test]
fn exact_families_have_the_sizes_of_the_dimacs_collection() {
    assert_eq!(size(&gens::queen(5, 5).unwrap()), (25, 160));
    assert_eq!(size(&gens::queen(8, 8).unwrap()), (64, 728));
    assert_eq!(size(&gens::queen(8, 12).unwrap()), (96, 1368));
    let mycielski = [(3, 11, 20), (4, 23, 71), (5, 47, 236), (6, 95, 755), (7, 191, 2360)];
    for (k, vertices, edges) in mycielski {
        assert_eq!(size(&gens::mycielski(k).unwrap()), (vertices, edges), "myciel{k}");
    }
    // A row of n cells has n(n-1)/2 pairs; 2n rows and columns.
    assert_eq!(size(&gens::latin_square(7).unwrap()), (49, 2 * 7 * 21));
}

#[test]
fn sizes_outside_the_limits_are_refused() {
    let refused = |found| Err(GraphError::VertexCount { found, limit: MAX_VERTICES });
    assert_eq!(gens::queen(0, 5), refused(0));
    assert_eq!(gens::queen(usize::MAX, 2), refused(usize::MAX));
    assert_eq!(gens::mycielski(0), refused(0));
    assert_eq!(gens::mycielski(11), refused(0));
    assert_eq!(gens::gnp(2001, 500, 1), refused(2001));
    assert_eq!(gens::latin_square(45), refused(2025));
    assert_eq!(Graph::new(2, [(0, 0)]), Err(GraphError::SelfLoop { vertex: 0 }));
    let lost = GraphError::UnknownVertex { from: 0, to: 2, vertices: 2 };
    assert_eq!(Graph::new(2, [(0, 2)]), Err(lost));
}

#[test]
fn random_families_follow_their_arguments() {
    let graph = gens::gnp(200, 300, 5).unwrap();
    // 19900 pairs at 0.3: mean 5970, standard deviation 65.
    assert!((5645..=6295).contains(&graph.edge_count()), "{}", graph.edge_count());
    assert_eq!(gens::gnp(40, 0, 1).unwrap().edge_count(), 0);
    assert_eq!(gens::gnp(40, 1000, 1).unwrap().edge_count(), 780);
    assert_eq!(gens::geometric(30, 2000, 1).unwrap().edge_count(), 435);
    assert_eq!(gens::geometric(30, 0, 1).unwrap().edge_count(), 0);
    assert_ne!(gens::gnp(40, 500, 1).unwrap(), gens::gnp(40, 500, 2).unwrap());
}

#[test]
fn mycielski_graphs_need_one_color_more_than_k() {
    // myciel3 (the Grötzsch graph) has chromatic number 4: three colours never suffice.
    let graph = gens::mycielski(3).unwrap();
    let published = TabuParameters::published();
    assert_eq!(solve(&graph, 4, &published, 100_000, 1).conflicts, 0);
    assert!(solve(&graph, 3, &published, 100_000, 1).conflicts > 0);
}

#[test]
fn degenerate_searches_end() {
    let published = TabuParameters::published();
    let single = Graph::new(1, []).unwrap();
    assert_eq!(solve(&single, 1, &published, 10, 0).conflicts, 0);
    // One colour for two joined vertices: no move exists, the budget must still run out.
    let pair = Graph::new(2, [(0, 1)]).unwrap();
    assert_eq!(solve(&pair, 1, &published, 1000, 0).conflicts, 1);
    assert_eq!(solve(&pair, 2, &published, 0, 3).work, 4);
    let foreign = DsaturColoring { colors: vec![9], order: vec![77, 1], color_count: 1 };
    let mut stream = Stream::new("test", &[]);
    let kept = TabuParameters { dsatur_kept: i64::from(ONE), ..published };
    let outcome = tabucol(&pair, 2, &foreign, &kept, 1000, &mut stream);
    assert_eq!(pair.conflicts(&outcome.colors), Some(0));
}

#[test]
fn an_unsolvable_instance_is_refused() {
    let graph = gens::queen(5, 5).unwrap();
    let refusal = Instance::with_colors(graph, 4, 20_000).unwrap_err();
    assert_eq!(refusal, InstanceError::NotSolved { k: 4, solved: 0, runs: 16, cap: 20_000 });
}

#[test]
fn the_published_solver_costs_about_its_own_reference() {
    let instance = Instance::with_colors(gens::queen(6, 6).unwrap(), 8, 400_000).unwrap();
    let workload = ColoringWorkload::new(vec![instance]).unwrap();
    let published = published_default(workload.schema()).unwrap();
    let total = (0..60).map(|seed| workload.evaluate(&published, seed).unwrap().cost.permille());
    let mean = total.sum::<u64>() / 60;
    assert!((600..=1600).contains(&mean), "{mean}");
}

#[test]
fn an_unsolved_run_costs_more_than_its_budget() {
    let instance = Instance::with_colors(gens::queen(6, 6).unwrap(), 8, 400_000).unwrap();
    // A search of random moves only does not end in a proper colouring.
    let lost = TabuParameters { random_move: i64::from(ONE), ..TabuParameters::published() };
    let evaluation = instance.evaluate(&lost, &mut Stream::new("test", &[]));
    let budget = instance.budget() * Cost::REFERENCE.permille() / instance.reference();
    assert!(evaluation.cost.permille() > budget, "{evaluation:?}");
}

#[test]
fn splits_are_disjoint_and_repeatable() {
    for family in Family::ALL {
        let build = |split, seed| family.instances(split, seed).unwrap();
        let training = build(Split::Training, 1);
        let held_out = build(Split::HeldOut, 1);
        assert_eq!(training.len() as u64, INSTANCES);
        for instance in &training {
            let same = held_out.iter().any(|other| other.graph() == instance.graph());
            assert!(!same, "{}", family.name());
            assert!(instance.reference() <= 400_000);
        }
        let again = build(Split::Training, 1);
        let yardsticks = |set: &[Instance]| {
            set.iter().map(|i| (i.k(), i.reference(), i.budget())).collect::<Vec<_>>()
        };
        assert_eq!(yardsticks(&training), yardsticks(&again), "{}", family.name());
    }
}

prop_compose! {
    /// Any legal parameters, with every gene free between its bounds.
    fn parameters()(values in proptest::collection::vec(0.0_f64..=1.0, 9)) -> TabuParameters {
        let schema = schema().unwrap();
        let scaled = schema.genes().iter().zip(values).map(|(gene, x)| {
            (f64::from(gene.min) + x * (f64::from(gene.max) - f64::from(gene.min))) as i32
        });
        TabuParameters::from_values(&scaled.collect::<Vec<i32>>())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn dsatur_is_proper_and_complete(n in 1_usize..60, p in 0_u64..=1000, seed in any::<u64>()) {
        let graph = gens::gnp(n, p, seed).unwrap();
        let result = dsatur(&graph);
        prop_assert_eq!(graph.conflicts(&result.colors), Some(0));
        let mut order = result.order.clone();
        order.sort_unstable();
        prop_assert_eq!(order, (0..n as u32).collect::<Vec<_>>());
        let greatest = result.colors.iter().max().map_or(0, |&c| usize::from(c) + 1);
        prop_assert_eq!(greatest, result.color_count);
    }

    #[test]
    fn hidden_colorings_bound_the_chromatic_number(seed in any::<u64>(), classes in 2_usize..6) {
        let published = TabuParameters::published();
        for graph in [
            gens::planted(24, classes, 900, seed).unwrap(),
            gens::leighton(24, classes, 30, seed).unwrap(),
        ] {
            let outcome = solve(&graph, classes, &published, 3_000_000, 1);
            prop_assert_eq!(graph.conflicts(&outcome.colors), Some(0));
        }
    }

    #[test]
    fn tabucol_tells_the_truth_within_its_budget(
        parameters in parameters(), n in 2_usize..40, p in 0_u64..=1000, k in 1_usize..12,
        budget in 0_u64..40_000, seed in any::<u64>(),
    ) {
        let graph = gens::gnp(n, p, seed).unwrap();
        let outcome = solve(&graph, k, &parameters, budget, seed);
        prop_assert_eq!(graph.conflicts(&outcome.colors), Some(outcome.conflicts as usize));
        prop_assert!(outcome.colors.iter().all(|&color| usize::from(color) < k));
        // The largest step: set-up (DSATUR, greedy fill, table) or a shake of every vertex.
        let edges = 2 * graph.edge_count();
        let step = n * (k + 2) + 2 * edges + n * n;
        prop_assert!(outcome.work <= budget + step as u64, "{} > {budget} + {step}", outcome.work);
        prop_assert_eq!(outcome, solve(&graph, k, &parameters, budget, seed));
    }
}

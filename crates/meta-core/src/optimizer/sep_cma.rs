//! Separable CMA-ES: an evolution strategy with one step size a coordinate.
//!
//! Ros & Hansen, "A simple modification in CMA-ES achieving linear time and space complexity" (PPSN 2008),
//! with the strategy parameters of Hansen's tutorial (arXiv:1604.00772, table 1) and the covariance rates
//! raised by (n + 2) / 3 as that paper proposes. Deviations: samples are clamped to the unit box before
//! they are used, and equal costs keep sampling order.
//!
//! Float discipline: + − × ÷ √ on `f64`, `exp` and `log` from the pinned `libm`, sums in index order.

use crate::rng::Stream;
use crate::workload::Cost;

/// Largest step size, in units of the box: beyond it samples only pile up on the borders.
const MAX_SIGMA: f64 = 0.5;

/// State of one search in the unit box.
pub(super) struct SepCma {
    mean: Vec<f64>,
    sigma: f64,
    /// Diagonal of the covariance matrix.
    variances: Vec<f64>,
    path_sigma: Vec<f64>,
    path_c: Vec<f64>,
    /// `(1 − c_sigma)^(2·generation)`, for the stall indicator h_sigma.
    decay: f64,
    rates: Rates,
    population: usize,
}

/// Strategy parameters, fixed by dimension and population.
struct Rates {
    weights: Vec<f64>,
    mu_eff: f64,
    c_sigma: f64,
    d_sigma: f64,
    c_c: f64,
    c_1: f64,
    c_mu: f64,
    /// Expected length of a standard normal vector.
    chi: f64,
}

impl Rates {
    fn new(dimension: usize, population: usize) -> Self {
        let n = dimension as f64;
        let parents = (population / 2).max(1);
        let middle = libm::log((population as f64 + 1.0) / 2.0);
        let raw: Vec<f64> = (1..=parents).map(|rank| middle - libm::log(rank as f64)).collect();
        let total: f64 = raw.iter().sum();
        let weights: Vec<f64> = raw.iter().map(|weight| weight / total).collect();
        let mu_eff = 1.0 / weights.iter().map(|weight| weight * weight).sum::<f64>();
        let c_sigma = (mu_eff + 2.0) / (n + mu_eff + 5.0);
        let excess = ((mu_eff - 1.0) / (n + 1.0)).sqrt() - 1.0;
        let separable = (n + 2.0) / 3.0;
        let c_1 = (separable * 2.0 / ((n + 1.3) * (n + 1.3) + mu_eff)).min(1.0);
        let c_mu =
            separable * 2.0 * (mu_eff - 2.0 + 1.0 / mu_eff) / ((n + 2.0) * (n + 2.0) + mu_eff);
        Self {
            c_sigma,
            d_sigma: 1.0 + 2.0 * excess.max(0.0) + c_sigma,
            c_c: (4.0 + mu_eff / n) / (n + 4.0 + 2.0 * mu_eff / n),
            c_1,
            c_mu: c_mu.min(1.0 - c_1),
            chi: n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n)),
            weights,
            mu_eff,
        }
    }
}

impl SepCma {
    /// Starts at `mean` (one coordinate at least) with the same step in every direction.
    pub(super) fn new(mean: Vec<f64>, sigma: f64, population: usize) -> Self {
        let dimension = mean.len();
        Self {
            mean,
            sigma,
            variances: vec![1.0; dimension],
            path_sigma: vec![0.0; dimension],
            path_c: vec![0.0; dimension],
            decay: 1.0,
            rates: Rates::new(dimension, population),
            population,
        }
    }

    /// Centre of the sampling distribution.
    pub(super) fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Samples one generation.
    pub(super) fn ask(&self, stream: &mut Stream) -> Vec<Vec<f64>> {
        let sample = |_| {
            let coordinates = self.mean.iter().zip(&self.variances);
            let moved = coordinates.map(|(&center, &variance)| {
                (center + self.sigma * variance.sqrt() * stream.normal()).clamp(0.0, 1.0)
            });
            moved.collect()
        };
        (0..self.population).map(sample).collect()
    }

    /// Learns from the costs of the points that [`Self::ask`] returned, in the same order.
    pub(super) fn tell(&mut self, points: &[Vec<f64>], costs: &[Cost]) {
        let mut ranked: Vec<(Cost, &Vec<f64>)> = costs.iter().copied().zip(points).collect();
        ranked.sort_by_key(|&(cost, _)| cost);
        let parents: Vec<&Vec<f64>> = ranked.into_iter().map(|(_, point)| point).collect();
        let rates = &self.rates;
        self.decay *= (1.0 - rates.c_sigma) * (1.0 - rates.c_sigma);
        let pull = (rates.c_sigma * (2.0 - rates.c_sigma) * rates.mu_eff).sqrt();
        let mut steps = Vec::with_capacity(self.mean.len());
        let mut length = 0.0;
        for i in 0..self.mean.len() {
            let weighted = rates.weights.iter().zip(&parents);
            let step: f64 =
                weighted.map(|(weight, point)| weight * (point[i] - self.mean[i])).sum::<f64>()
                    / self.sigma;
            let path =
                (1.0 - rates.c_sigma) * self.path_sigma[i] + pull * step / self.variances[i].sqrt();
            self.path_sigma[i] = path;
            length += path * path;
            steps.push(step);
        }
        let length = length.sqrt();
        let limit = (1.4 + 2.0 / (self.mean.len() as f64 + 1.0)) * rates.chi;
        let moving = length / (1.0 - self.decay).sqrt() < limit;
        self.adapt_variances(&parents, &steps, moving);
        for (center, step) in self.mean.iter_mut().zip(&steps) {
            *center += self.sigma * step;
        }
        let rates = &self.rates;
        let growth = (rates.c_sigma / rates.d_sigma) * (length / rates.chi - 1.0);
        self.sigma = (self.sigma * libm::exp(growth)).min(MAX_SIGMA);
    }

    /// Rank-one and rank-μ update of the diagonal.
    fn adapt_variances(&mut self, parents: &[&Vec<f64>], steps: &[f64], moving: bool) {
        let rates = &self.rates;
        let pull = (rates.c_c * (2.0 - rates.c_c) * rates.mu_eff).sqrt();
        for (i, &step) in steps.iter().enumerate() {
            let kept = (1.0 - rates.c_c) * self.path_c[i];
            self.path_c[i] = if moving { kept + pull * step } else { kept };
            let stall = if moving { 0.0 } else { rates.c_c * (2.0 - rates.c_c) };
            let rank_one = self.path_c[i] * self.path_c[i] + stall * self.variances[i];
            let weighted = rates.weights.iter().zip(parents);
            let rank_mu: f64 = weighted
                .map(|(weight, point)| {
                    let deviation = (point[i] - self.mean[i]) / self.sigma;
                    weight * deviation * deviation
                })
                .sum();
            let old = (1.0 - rates.c_1 - rates.c_mu) * self.variances[i];
            // A coordinate pinned to a border would otherwise lose its variance for good.
            self.variances[i] = (old + rates.c_1 * rank_one + rates.c_mu * rank_mu).max(1e-4);
        }
    }
}

//! From the list to OpenMetrics text, through prometheus-client (which escapes label values).

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::Metrics;
use super::histogram::Sum;
use super::list::{Kind, LIST};

/// The media type of [`Metrics::encode`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn text(metrics: &Arc<Metrics>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Arc::clone(metrics)));
    let mut text = String::with_capacity(16 * 1024);
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => text,
        // Writing to a string cannot fail; a scrape without the closing line is refused by the reader, as it should be.
        Err(fmt::Error) => String::new(),
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in LIST {
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let family = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            let mut samples = Samples { family, kind: metric.kind, labels: metric.labels };
            (metric.read)(self, &mut samples)?;
        }
        Ok(())
    }
}

/// Takes the samples of one metric.
pub(super) struct Samples<'a> {
    family: MetricEncoder<'a>,
    kind: Kind,
    labels: &'static [&'static str],
}

impl Samples<'_> {
    /// The only sample of a metric without labels.
    pub(super) fn one(&mut self, value: u64) -> fmt::Result {
        number(&mut self.family, self.kind, value)
    }

    /// The same, left out when the value is not known.
    pub(super) fn maybe(&mut self, value: Option<u64>) -> fmt::Result {
        value.map_or(Ok(()), |value| self.one(value))
    }

    /// One sample; the values stand in the order of the metric's labels.
    pub(super) fn labelled(&mut self, values: &[&str], value: u64) -> fmt::Result {
        let kind = self.kind;
        let labels = self.pairs(values);
        number(&mut self.family.encode_family(&labels)?, kind, value)
    }

    pub(super) fn histogram(&mut self, values: &[&str], sum: &Sum) -> fmt::Result {
        let labels = self.pairs(values);
        let mut family = self.family.encode_family(&labels)?;
        family.encode_histogram::<NoLabelSet>(sum.seconds(), sum.count(), &sum.buckets(), None)
    }

    fn pairs(&self, values: &[&str]) -> Vec<(&'static str, String)> {
        debug_assert_eq!(values.len(), self.labels.len());
        self.labels.iter().copied().zip(values.iter().map(|v| (*v).to_owned())).collect()
    }
}

fn number(encoder: &mut MetricEncoder<'_>, kind: Kind, value: u64) -> fmt::Result {
    match kind {
        Kind::Counter => encoder.encode_counter::<NoLabelSet, u64, u64>(&value, None),
        // Gauges are 64-bit in this crate only as signed or floating numbers.
        Kind::Gauge | Kind::Histogram => encoder.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX)),
    }
}

//! Metrics of a ring in the text format of Prometheus.

use super::summary;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;
use slipring::{Backing, Occupancy, Role, Snapshot};
use std::borrow::Cow;
use std::fmt;

pub(crate) fn to_text(ring: &Backing, snapshot: Snapshot) -> Result<String, fmt::Error> {
    let label = (Cow::from("ring"), Cow::from(ring.to_string()));
    let mut registry = Registry::with_prefix_and_labels("slipring", [label].into_iter());
    registry.register_collector(Box::new(Metrics(snapshot)));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Metrics(Snapshot);

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (to, snapshot) = (&mut encoder, &self.0);
        size(to, snapshot)?;
        traffic(to, snapshot)?;
        wakes(to, snapshot)?;
        seats(to, snapshot)?;
        memory(to, snapshot)?;
        let help = "1 if the ring is closed, 0 otherwise.";
        gauge(to, "closed", help, snapshot.is_closed.into())
    }
}

fn size(to: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let help = "Messages not claimed by a consumer.";
    gauge(to, "depth", help, snapshot.len())?;
    let help = "Largest number of messages.";
    gauge(to, "capacity", help, snapshot.capacity)?;
    let help = "Segments in use: more than one while the ring grows.";
    gauge(to, "segments", help, snapshot.segments.len() as u64)?;
    let help = "Messages left in old segments.";
    gauge(to, "left", help, summary::left(snapshot))
}

fn traffic(to: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let counters = &snapshot.counters;
    counter(to, "pushed", "Messages pushed.", snapshot.pushed())?;
    counter(to, "popped", "Messages popped.", snapshot.popped())?;
    let help = "Positions without a message.";
    counter(to, "tombstones", help, counters.tombstones)?;
    let help = "Messages of dead consumers that were delivered again.";
    counter(to, "redelivered", help, counters.redelivered)?;
    let help = "Messages of dead consumers that were dropped.";
    counter(to, "dropped", help, counters.dropped)?;
    counter(to, "recoveries", "Recoveries.", counters.recoveries)
}

fn wakes(to: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let help = "Wake-ups, modulo 2^31.";
    let mut metric = to.encode_descriptor("wakes", help, None, MetricType::Counter)?;
    for (role, waiting) in [
        ("producer", snapshot.producers),
        ("consumer", snapshot.consumers),
    ] {
        let labels = [("role", role)];
        let mut metric = metric.encode_family(&labels)?;
        metric.encode_counter(&waiting.wakes, NO_EXEMPLAR)?;
    }
    Ok(())
}

fn seats(to: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let help = "Seats by role and by state of the holder.";
    let mut metric = to.encode_descriptor("seats", help, None, MetricType::Gauge)?;
    for (role, role_name) in [(Role::Producer, "producer"), (Role::Consumer, "consumer")] {
        for (state, state_name) in [(Occupancy::Alive, "alive"), (Occupancy::Dead, "dead")] {
            let labels = [("role", role_name), ("state", state_name)];
            let count = summary::seat_count(snapshot, role, state) as u64;
            metric.encode_family(&labels)?.encode_gauge(&count)?;
        }
    }
    Ok(())
}

fn memory(to: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> fmt::Result {
    let help = "Memory allocated to the ring.";
    gauge(to, "memory_bytes", help, snapshot.allocated)?;
    let help = "Memory of retired segments, kept for participants that are behind.";
    gauge(to, "retired_bytes", help, snapshot.retired)
}

const NO_EXEMPLAR: Option<&Exemplar<[(&str, &str); 0], u64>> = None;

fn gauge(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let mut metric = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    metric.encode_gauge(&value)
}

/// Encodes a counter. The encoder appends `_total` to its name.
fn counter(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let mut metric = to.encode_descriptor(name, help, None, MetricType::Counter)?;
    metric.encode_counter(&value, NO_EXEMPLAR)
}

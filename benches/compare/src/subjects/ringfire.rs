//! ringfire with back-pressure. Without it, a slow reader loses messages.

use super::keep_trying;
use crate::channel::{Channel, External, Setup};
use crate::workload::{Experiment, Workload};
use bench_support::{BATCH, Body, CAPACITY, Result, Sink, Source, SpinWait};
use ringfire::{
    CleanupMode, ConsumerStartMode, FlowControl, FutexWait, RingConsumer, RingProducer,
    RingProducerBuilder, WaitStrategy,
};

pub(crate) struct Ringfire {
    path: String,
}

impl<B: Body> Channel<B> for Ringfire {
    type Sink = External<RingProducer<B>>;
    type Source = Reader<B>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        match experiment.workload {
            Workload::Mpmc | Workload::MpmcBatch => Some("many to many loses messages"),
            Workload::InPlace => Some("copies"),
            _ => None,
        }
    }

    fn new(setup: &Setup) -> Result<Self> {
        Ok(Self {
            path: format!("/dev/shm/{}", setup.name),
        })
    }

    fn sink(&self, _setup: &Setup) -> Result<Self::Sink> {
        let producer = RingProducerBuilder::new(CAPACITY as u64)
            .cleanup_mode(CleanupMode::UnlinkOnDrop)
            .flow_control(FlowControl::LosslessBackpressure)
            .build(&self.path)?;
        Ok(External(producer))
    }

    fn source(&self, setup: &Setup) -> Result<Self::Source> {
        let attach = || {
            RingConsumer::builder()
                .start_mode(ConsumerStartMode::Oldest)
                .attach(&self.path)
        };
        Ok(Reader {
            consumer: keep_trying(attach)?,
            wait: setup.wait,
            sleep: setup.sleeps().then(|| FutexWait::new(0, None)),
            messages: vec![B::zeroed(); BATCH],
        })
    }
}

impl<B: Body> Sink<B> for External<RingProducer<B>> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        self.0.push(message);
        Ok(())
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64) -> Result<()> {
        let messages: [B; BATCH] = std::array::from_fn(|place| B::numbered(first + place as u64));
        self.0.push_batch(&messages);
        Ok(())
    }
}

pub(crate) struct Reader<B: Body> {
    consumer: RingConsumer<B>,
    wait: SpinWait,
    sleep: Option<FutexWait>,
    messages: Vec<B>,
}

impl<B: Body> Source<B> for Reader<B> {
    #[inline(always)]
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        if let Some(sleep) = &mut self.sleep {
            sleep.reset();
            visit(&self.consumer.recv_blocking(sleep));
        } else {
            visit(&self.wait.until(|| self.consumer.try_recv()));
        }
        Ok(())
    }

    #[inline(always)]
    fn receive_batch(&mut self, most: usize, visit: impl FnMut(&B)) -> Result<usize> {
        let messages = &mut self.messages[..most];
        let received = self.wait.until(|| {
            let received = self.consumer.recv_batch(messages);
            (received > 0).then_some(received)
        });
        messages[..received].iter().for_each(visit);
        Ok(received)
    }
}

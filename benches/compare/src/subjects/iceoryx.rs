//! iceoryx2: publish and subscribe, configured to wait for a slow subscriber. The wake-up workload
//! also uses its events, because subscribers cannot block.

use super::keep_trying;
use crate::channel::{Channel, Setup};
use crate::temp_files;
use crate::workload::{Experiment, Workload};
use bench_support::{Body, CAPACITY, Result, Sink, Source, SpinWait};
use iceoryx2::config::Config;
use iceoryx2::node::{Node, NodeBuilder};
use iceoryx2::port::backpressure_strategy::BackpressureStrategy;
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{LogLevel, SignalHandlingMode, ZeroCopySend, ipc, set_log_level};
use iceoryx2::service::port_factory::{event, publish_subscribe};
use iceoryx2::service::service_name::ServiceName;

pub(crate) struct Iceoryx {
    name: String,
}

/// Samples that a side may hold, besides those in transit.
const IN_HAND: usize = 2;

impl Iceoryx {
    fn named(setup: &Setup) -> Self {
        set_log_level(LogLevel::Error);
        Self {
            name: setup.name.clone(),
        }
    }

    fn node(&self) -> Result<Node<ipc::Service>> {
        let mut config = Config::global_config().clone();
        config.global.prefix = self.name.as_str().try_into()?;
        let root = format!("{}/{}", temp_files::DIRECTORY, self.name);
        config.global.set_root_path(&root.as_str().try_into()?);
        Ok(NodeBuilder::new()
            .config(&config)
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<ipc::Service>()?)
    }

    fn messages<B: Body + ZeroCopySend>(
        node: &Node<ipc::Service>,
    ) -> Result<publish_subscribe::PortFactory<ipc::Service, B, ()>> {
        let name: ServiceName = "messages".try_into()?;
        keep_trying(|| {
            node.service_builder(&name)
                .publish_subscribe::<B>()
                .max_publishers(1)
                .max_subscribers(1)
                .history_size(0)
                .subscriber_max_buffer_size(CAPACITY)
                .subscriber_max_borrowed_samples(IN_HAND)
                .enable_safe_overflow(false)
                .open_or_create()
        })
    }

    fn events(node: &Node<ipc::Service>) -> Result<event::PortFactory<ipc::Service>> {
        let name: ServiceName = "events".try_into()?;
        keep_trying(|| {
            node.service_builder(&name)
                .event()
                .max_notifiers(1)
                .max_listeners(1)
                .open_or_create()
        })
    }

    fn sending<B: Body + ZeroCopySend>(&self) -> Result<Sending<B>> {
        let node = self.node()?;
        let publisher = Self::messages(&node)?
            .publisher_builder()
            .max_loaned_samples(IN_HAND)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        Ok(Sending { publisher, node })
    }

    fn subscribed<B: Body + ZeroCopySend>(&self) -> Result<Subscribed<B>> {
        let node = self.node()?;
        let subscriber = Self::messages(&node)?
            .subscriber_builder()
            .buffer_size(CAPACITY)
            .create()?;
        Ok(Subscribed { subscriber, node })
    }
}

impl<B: Body + ZeroCopySend> Channel<B> for Iceoryx {
    type Sink = Sending<B>;
    type Source = Receiving<B>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        match experiment.workload {
            Workload::Batch => Some("no batches"),
            Workload::Mpmc | Workload::MpmcBatch => Some("every subscriber gets every message"),
            _ => None,
        }
    }

    fn new(setup: &Setup) -> Result<Self> {
        Ok(Self::named(setup))
    }

    fn sink(&self, _setup: &Setup) -> Result<Self::Sink> {
        self.sending()
    }

    fn source(&self, setup: &Setup) -> Result<Self::Source> {
        Ok(Receiving {
            subscribed: self.subscribed()?,
            wait: setup.wait,
        })
    }
}

/// A publisher and its node.
pub(crate) struct Sending<B: Body + ZeroCopySend> {
    publisher: Publisher<ipc::Service, B, ()>,
    node: Node<ipc::Service>,
}

impl<B: Body + ZeroCopySend> Sink<B> for Sending<B> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        let sample = self.publisher.loan_uninit()?;
        sample.write_payload(*message).send()?;
        Ok(())
    }

    #[inline(always)]
    fn send_in_place(&mut self, number: u64) -> Result<()> {
        let mut sample = self.publisher.loan_uninit()?;
        let place = sample.payload_mut().as_mut_ptr();
        // SAFETY: room for a message.
        unsafe { B::fill(place, number) }
        // SAFETY: the sample is filled.
        unsafe { sample.assume_init() }.send()?;
        Ok(())
    }
}

struct Subscribed<B: Body + ZeroCopySend> {
    subscriber: Subscriber<ipc::Service, B, ()>,
    node: Node<ipc::Service>,
}

pub(crate) struct Receiving<B: Body + ZeroCopySend> {
    subscribed: Subscribed<B>,
    wait: SpinWait,
}

impl<B: Body + ZeroCopySend> Source<B> for Receiving<B> {
    #[inline(always)]
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        let subscriber = &self.subscribed.subscriber;
        let sample = self.wait.until(|| subscriber.receive().transpose())?;
        visit(sample.payload());
        Ok(())
    }

    #[inline(always)]
    fn receive_in_place(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        self.receive(visit)
    }
}

/// An event follows every message and wakes the peer.
pub(crate) struct Waking(Iceoryx);

impl<B: Body + ZeroCopySend> Channel<B> for Waking {
    type Sink = Notifying<B>;
    type Source = Listening<B>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        (experiment.workload != Workload::Wake).then_some("wake-ups only")
    }

    fn new(setup: &Setup) -> Result<Self> {
        Ok(Self(Iceoryx::named(setup)))
    }

    fn sink(&self, _setup: &Setup) -> Result<Self::Sink> {
        let sending = self.0.sending()?;
        let events = Iceoryx::events(&sending.node)?;
        Ok(Notifying {
            notifier: events.notifier_builder().create()?,
            sending,
        })
    }

    fn source(&self, _setup: &Setup) -> Result<Self::Source> {
        let subscribed = self.0.subscribed()?;
        let events = Iceoryx::events(&subscribed.node)?;
        Ok(Listening {
            listener: events.listener_builder().create()?,
            subscribed,
        })
    }
}

pub(crate) struct Notifying<B: Body + ZeroCopySend> {
    notifier: Notifier<ipc::Service>,
    sending: Sending<B>,
}

impl<B: Body + ZeroCopySend> Sink<B> for Notifying<B> {
    fn send(&mut self, message: &B) -> Result<()> {
        self.sending.send(message)?;
        match self.notifier.notify()? {
            0 => Err("notify: found no listener, expected one".into()),
            _ => Ok(()),
        }
    }
}

pub(crate) struct Listening<B: Body + ZeroCopySend> {
    listener: Listener<ipc::Service>,
    subscribed: Subscribed<B>,
}

impl<B: Body + ZeroCopySend> Source<B> for Listening<B> {
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        loop {
            if let Some(sample) = self.subscribed.subscriber.receive()? {
                visit(sample.payload());
                return Ok(());
            }
            // Events are queued: an earlier event ends the wait at once.
            self.listener.blocking_wait(|_| ())?;
        }
    }
}

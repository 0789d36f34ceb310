//! iceoryx2: publish and subscribe, made to wait for a slow subscriber.

use super::keep_trying;
use crate::leftovers;
use crate::link::{Link, Setup};
use crate::workload::{Experiment, Workload};
use common::{Body, CAPACITY, Inlet, Outlet, Patience, Result};
use iceoryx2::config::Config;
use iceoryx2::node::{Node, NodeBuilder};
use iceoryx2::port::backpressure_strategy::BackpressureStrategy;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{LogLevel, SignalHandlingMode, ZeroCopySend, ipc, set_log_level};
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use iceoryx2::service::service_name::ServiceName;

pub(crate) struct Iceoryx {
    name: String,
}

/// Samples that a side may hold beside those that are on the way.
const IN_HAND: usize = 2;

impl Iceoryx {
    /// Both ends stay with the node that they were opened by.
    fn service<B: Body + ZeroCopySend>(
        &self,
    ) -> Result<(Node<ipc::Service>, PortFactory<ipc::Service, B, ()>)> {
        let mut config = Config::global_config().clone();
        config.global.prefix = self.name.as_str().try_into()?;
        let root = format!("{}/{}", leftovers::DIRECTORY, self.name);
        config.global.set_root_path(&root.as_str().try_into()?);
        let node = NodeBuilder::new()
            .config(&config)
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<ipc::Service>()?;
        let name: ServiceName = "way".try_into()?;
        let service = keep_trying(|| {
            node.service_builder(&name)
                .publish_subscribe::<B>()
                .max_publishers(1)
                .max_subscribers(1)
                .history_size(0)
                .subscriber_max_buffer_size(CAPACITY)
                .subscriber_max_borrowed_samples(IN_HAND)
                .enable_safe_overflow(false)
                .open_or_create()
        })?;
        Ok((node, service))
    }
}

impl<B: Body + ZeroCopySend> Link<B> for Iceoryx {
    type Outlet = Sending<B>;
    type Inlet = Receiving<B>;

    fn lacks(experiment: &Experiment) -> Option<&'static str> {
        match experiment.workload {
            Workload::Batch => Some("no batches"),
            Workload::Mpmc | Workload::MpmcBatch => Some("every subscriber gets every message"),
            Workload::Wake => Some("wakes by another service"),
            _ => None,
        }
    }

    fn new(setup: &Setup) -> Result<Self> {
        set_log_level(LogLevel::Error);
        Ok(Self {
            name: setup.name.clone(),
        })
    }

    fn outlet(&self, _setup: &Setup) -> Result<Self::Outlet> {
        let (node, service) = self.service::<B>()?;
        let publisher = service
            .publisher_builder()
            .max_loaned_samples(IN_HAND)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        Ok(Sending {
            publisher,
            _node: node,
        })
    }

    fn inlet(&self, setup: &Setup) -> Result<Self::Inlet> {
        let (node, service) = self.service::<B>()?;
        let subscriber = service
            .subscriber_builder()
            .buffer_size(CAPACITY)
            .create()?;
        Ok(Receiving {
            subscriber,
            patience: setup.patience,
            _node: node,
        })
    }
}

pub(crate) struct Sending<B: Body + ZeroCopySend> {
    publisher: Publisher<ipc::Service, B, ()>,
    _node: Node<ipc::Service>,
}

impl<B: Body + ZeroCopySend> Outlet<B> for Sending<B> {
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
        // SAFETY: it was filled.
        unsafe { sample.assume_init() }.send()?;
        Ok(())
    }
}

pub(crate) struct Receiving<B: Body + ZeroCopySend> {
    subscriber: Subscriber<ipc::Service, B, ()>,
    patience: Patience,
    _node: Node<ipc::Service>,
}

impl<B: Body + ZeroCopySend> Inlet<B> for Receiving<B> {
    #[inline(always)]
    fn receive(&mut self, see: impl FnOnce(&B)) -> Result<()> {
        let sample = self
            .patience
            .until(|| self.subscriber.receive().transpose())?;
        see(sample.payload());
        Ok(())
    }

    #[inline(always)]
    fn receive_in_place(&mut self, see: impl FnOnce(&B)) -> Result<()> {
        self.receive(see)
    }
}

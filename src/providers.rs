//! `NativeProvider`: the sources of instances that the core contains.

use std::sync::{Arc, Mutex, PoisonError};

use mesh_core::{
    config::ProviderConfig,
    error::{Code, Reason},
    providers::instances::{Provider, Registration, Sink},
};
use napi::{
    Env, Result, Status,
    bindgen_prelude::{Function, spawn, within_runtime_if_available},
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
    tokio::task::AbortHandle,
};
use napi_derive::napi;
use serde_json::{Value, json};

use crate::{
    auth::service_id,
    error::{Failure, Settled, throw},
};

/// Tells JavaScript something as JSON. The reference is weak, because `js/` decides whether the process stays alive.
type Tell = ThreadsafeFunction<String, (), String, Status, false, true>;

/// The receiver of a provider's reports about one service, or about its registration.
struct Teller {
    tell: Arc<Tell>,
}

impl Teller {
    fn tell(&self, event: &Value) {
        self.tell.call(event.to_string(), ThreadsafeFunctionCallMode::NonBlocking);
    }
}

impl Sink for Teller {
    fn update(&self, instances: Vec<Value>) {
        self.tell(&json!({ "instances": instances }));
    }

    fn away(&self, away: bool) {
        self.tell(&json!({ "away": away }));
    }

    fn trouble(&self, text: String) {
        self.tell(&json!({ "trouble": text }));
    }
}

/// A source of instances.
#[napi]
pub struct NativeProvider {
    provider: Arc<Provider>,
    watches: Mutex<Vec<AbortHandle>>,
    registration: Arc<Mutex<Option<Registration>>>,
    tell: Arc<Tell>,
}

#[napi]
impl NativeProvider {
    /// Checks the options, which are at `path`, and the `SECURE_MESH_…` variables, both given as JSON. `onTrouble` is
    /// called with `{ trouble }` as JSON.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        path: String,
        options: String,
        variables: String,
        on_trouble: Function<'_, String, ()>,
    ) -> Result<Self> {
        let unreadable = |_| {
            let text = format!("{path} must be an object");
            throw(env, Failure::new(Code::InvalidArgument, Reason::Config, text))
        };
        let options: Value = serde_json::from_str(&options).map_err(unreadable)?;
        let variables: Value = serde_json::from_str(&variables).map_err(unreadable)?;
        let lookup = |name: &str| variables.get(name).and_then(Value::as_str).map(str::to_owned);
        let config = ProviderConfig::parse(&path, &options, lookup).map_err(|error| throw(env, error))?;
        let provider = within_runtime_if_available(|| Provider::new(config));
        Ok(Self {
            provider: Arc::new(provider.map_err(|error| throw(env, error))?),
            watches: Mutex::default(),
            registration: Arc::default(),
            tell: Arc::new(teller(&on_trouble)?),
        })
    }

    /// Watches a service until `stop()`. `onEvent` is called with JSON: `{ instances }` for each list, `{ trouble }`,
    /// `{ away }` when the source goes away or comes back, or `{ failed }` at the end of the watch.
    #[napi(catch_unwind)]
    pub fn watch(&self, env: Env, service: String, on_event: Function<'_, String, ()>) -> Result<()> {
        let service = service_id(env, "service", &service)?;
        let teller = Teller { tell: Arc::new(teller(&on_event)?) };
        let provider = Arc::clone(&self.provider);
        let task = spawn(async move {
            let error = provider.watch(&service, &teller).await;
            teller.tell(&json!({ "failed": error.to_string() }));
        });
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|watch| !watch.is_finished());
        watches.push(task.abort_handle());
        Ok(())
    }

    /// Whether the service itself is registered here.
    #[napi(getter, catch_unwind)]
    pub fn registers(&self) -> bool {
        self.provider.registers()
    }

    /// Registers this service: `own` is an instance as JSON.
    #[napi(ts_return_type = "Promise<void>")]
    pub async fn register(&self, service: String, own: String) -> Settled<()> {
        let wrong = || Failure::new(Code::InvalidArgument, Reason::Argument, "a service id and an instance");
        let (Ok(service), Ok(own)) = (service.parse(), serde_json::from_str(&own)) else {
            return Settled(Err(wrong()));
        };
        let sink = Box::new(Teller { tell: Arc::clone(&self.tell) });
        match self.provider.register(&service, &own, sink).await {
            Ok(registration) => {
                *self.registration.lock().unwrap_or_else(PoisonError::into_inner) = registration;
                Settled(Ok(()))
            }
            Err(error) => Err(error).into(),
        }
    }

    /// Takes the registration back.
    #[napi(ts_return_type = "Promise<void>")]
    pub async fn withdraw(&self) -> Settled<()> {
        let registration = self.registration.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(registration) = registration else { return Settled(Ok(())) };
        let withdrawn = registration.withdraw().await;
        Settled(
            withdrawn.map_err(|error| Failure::new(Code::Unavailable, Reason::NoInstance, error.to_string())),
        )
    }

    /// Ends all watches.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        for watch in self.watches.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            watch.abort();
        }
    }
}

impl Drop for NativeProvider {
    fn drop(&mut self) {
        self.stop();
    }
}

fn teller(function: &Function<'_, String, ()>) -> Result<Tell> {
    function.build_threadsafe_function::<String>().weak::<true>().callee_handled::<false>().build()
}

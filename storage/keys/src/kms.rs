//! The port to a key management service.

use futures::future::BoxFuture;

use crate::{DataKey, KeyContext, Wrapped};

/// A region's KMS key: makes data keys and opens the ones that it wrapped, under the same context only.
pub trait RegionKms: Send + Sync + 'static {
    /// A new data key, open and wrapped.
    fn generate<'a>(&'a self, context: &'a KeyContext) -> BoxFuture<'a, Result<(DataKey, Wrapped), KmsError>>;

    /// Opens what this KMS key wrapped under this very context.
    fn unwrap<'a>(
        &'a self,
        wrapped: &'a Wrapped,
        context: &'a KeyContext,
    ) -> BoxFuture<'a, Result<DataKey, KmsError>>;

    /// Wraps again under the newest version of the KMS key; `None` when it is so already.
    fn rewrap<'a>(
        &'a self,
        wrapped: &'a Wrapped,
        context: &'a KeyContext,
    ) -> BoxFuture<'a, Result<Option<Wrapped>, KmsError>>;

    /// Whether the key is there and may be used: a round trip under a context of its own.
    fn check<'a>(&'a self, context: &'a KeyContext) -> BoxFuture<'a, Result<(), KmsError>> {
        Box::pin(async move {
            let (_, wrapped) = self.generate(context).await?;
            self.unwrap(&wrapped, context).await.map(|_| ())
        })
    }

    /// Which key this is, in words for an operator. Holds no secret.
    fn describe(&self) -> String;
}

/// Why the KMS did not do it. The texts say what to do; none holds key material.
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// The wrapped key was made by another key, under another context, or was altered.
    #[error(
        "the KMS key {kms} does not open this data key: it was wrapped by another key or under another context"
    )]
    DoesNotOpen {
        /// Which KMS key was asked.
        kms: String,
    },
    /// The service could not be asked. Trying again may help.
    #[error("the KMS {kms} could not be reached: {why}")]
    Unreachable {
        /// Which KMS key was asked.
        kms: String,
        /// What happened, and what to look at.
        why: String,
    },
    /// The service was asked and refused. Trying again does not help until someone changes something.
    #[error("the KMS {kms} refused: {why}")]
    Refused {
        /// Which KMS key was asked.
        kms: String,
        /// What it said, and what to do.
        why: String,
    },
    /// The key's own file or settings are not as they must be.
    #[error("{why}")]
    Unusable {
        /// What is wrong, and how to mend it.
        why: String,
    },
}

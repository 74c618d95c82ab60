//! AWS KMS behind [`storage_keys::RegionKms`].
//!
//! A crate of its own, because the SDK is a sixth of a cold build and only production needs it. The encryption
//! context is sent with every call and is part of the ciphertext's authentication; AWS writes it to CloudTrail. Every
//! call names the key: a ciphertext of another key is refused even where the credentials could open it.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use futures::future::BoxFuture;
use storage_keys::{DataKey, KeyContext, KmsError, RegionKms, Wrapped};
use zeroize::Zeroizing;

/// Which key, and where.
#[derive(Debug, Clone)]
pub struct AwsKmsConfig {
    /// The key's id, ARN or alias.
    pub key_id: String,
    /// The AWS region, such as `us-east-1`.
    pub aws_region: String,
    /// Another endpoint than AWS's own, for VPC endpoints and tests.
    pub endpoint: Option<String>,
}

/// One KMS key at AWS.
#[derive(Debug, Clone)]
pub struct AwsKms {
    client: Client,
    config: AwsKmsConfig,
}

impl AwsKms {
    /// Makes a client with the credentials that the machine offers: environment, profile, web identity, container,
    /// instance.
    pub async fn connect(config: AwsKmsConfig) -> Result<Self, KmsError> {
        Self::connect_as(config, None).await
    }

    /// Makes a client with these credentials.
    pub async fn connect_as(
        config: AwsKmsConfig,
        credentials: Option<SharedCredentialsProvider>,
    ) -> Result<Self, KmsError> {
        if config.key_id.is_empty() || config.aws_region.is_empty() {
            return Err(KmsError::Unusable {
                why: "AWS KMS needs a key id (or ARN, or alias/…) and an AWS region".into(),
            });
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            .operation_attempt_timeout(Duration::from_secs(3))
            .operation_timeout(Duration::from_secs(8))
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(config.aws_region.clone()))
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .http_client(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https());
        if let Some(endpoint) = &config.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(credentials) = credentials {
            loader = loader.credentials_provider(credentials);
        }
        Ok(Self { client: Client::new(&loader.load().await), config })
    }

    fn explain<E>(&self, error: &SdkError<E>) -> KmsError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let kms = self.describe();
        let endpoint = self.config.endpoint.as_deref().unwrap_or("AWS's own endpoint");
        let SdkError::ServiceError(said) = error else {
            let why = match error {
                SdkError::ConstructionFailure(_) => {
                    "no request could be made: are there credentials for this process?".into()
                }
                SdkError::TimeoutError(_) => {
                    format!(
                        "no answer in time from {endpoint}: is it reachable from here, and is the region right?"
                    )
                }
                SdkError::DispatchFailure(failure)
                    if failure.as_connector_error().is_some_and(|e| e.as_other().is_some()) =>
                {
                    format!("{endpoint} closed the connection without an answer: try again later")
                }
                SdkError::DispatchFailure(failure) if failure.is_other() => format!(
                    "{}: are there credentials for this process?",
                    DisplayErrorContext(
                        failure.as_connector_error().map_or(&NoCause as &dyn std::error::Error, |e| e)
                    )
                ),
                _ => {
                    format!("no connection to {endpoint}: is it reachable from here, and is the region right?")
                }
            };
            return KmsError::Unreachable { kms, why };
        };
        let code = said.err().code().unwrap_or("an unknown error");
        match code {
            "InvalidCiphertextException" | "IncorrectKeyException" => KmsError::DoesNotOpen { kms },
            "NotFoundException" => {
                refused(kms, code, "there is no such key in this account and region: check the key id")
            }
            "DisabledException" => refused(kms, code, "the key is disabled: enable it, or name another"),
            "KMSInvalidStateException" | "KeyUnavailableException" => refused(
                kms,
                code,
                "the key is in a state that allows no use; it may be pending deletion: cancel that",
            ),
            "InvalidKeyUsageException" => {
                refused(kms, code, "the key must be symmetric with usage ENCRYPT_DECRYPT")
            }
            "AccessDeniedException" => refused(
                kms,
                code,
                "allow kms:GenerateDataKey, kms:Decrypt and kms:ReEncrypt* on the key for this process's role",
            ),
            "UnrecognizedClientException" | "InvalidSignatureException" | "ExpiredTokenException" => {
                refused(kms, code, "the credentials are wrong or expired")
            }
            "ThrottlingException"
            | "LimitExceededException"
            | "KMSInternalException"
            | "DependencyTimeoutException" => {
                KmsError::Unreachable { kms, why: format!("the service says {code}: try again later") }
            }
            _ => refused(kms, code, "see the AWS KMS documentation of this error"),
        }
    }
}

impl RegionKms for AwsKms {
    fn generate<'a>(&'a self, context: &'a KeyContext) -> BoxFuture<'a, Result<(DataKey, Wrapped), KmsError>> {
        Box::pin(async move {
            let made = self
                .client
                .generate_data_key()
                .key_id(&self.config.key_id)
                .key_spec(DataKeySpec::Aes256)
                .set_encryption_context(Some(pairs(context)))
                .send()
                .await
                .map_err(|error| self.explain(&error))?;
            let key = self.key(made.plaintext)?;
            let wrapped = made.ciphertext_blob.ok_or_else(|| self.odd_answer())?;
            Ok((key, Wrapped(wrapped.into_inner())))
        })
    }

    fn unwrap<'a>(
        &'a self,
        wrapped: &'a Wrapped,
        context: &'a KeyContext,
    ) -> BoxFuture<'a, Result<DataKey, KmsError>> {
        Box::pin(async move {
            let opened = self
                .client
                .decrypt()
                .key_id(&self.config.key_id)
                .ciphertext_blob(Blob::new(wrapped.0.clone()))
                .set_encryption_context(Some(pairs(context)))
                .send()
                .await
                .map_err(|error| self.explain(&error))?;
            self.key(opened.plaintext)
        })
    }

    /// AWS does not say which version of its own key material wrapped something, and opens all of them; so each call
    /// wraps again, inside the service. Needed after the configuration names another key, not after AWS's rotation.
    fn rewrap<'a>(
        &'a self,
        wrapped: &'a Wrapped,
        context: &'a KeyContext,
    ) -> BoxFuture<'a, Result<Option<Wrapped>, KmsError>> {
        Box::pin(async move {
            let again = self
                .client
                .re_encrypt()
                .destination_key_id(&self.config.key_id)
                .ciphertext_blob(Blob::new(wrapped.0.clone()))
                .set_source_encryption_context(Some(pairs(context)))
                .set_destination_encryption_context(Some(pairs(context)))
                .send()
                .await
                .map_err(|error| self.explain(&error))?;
            again.ciphertext_blob.map(|blob| Some(Wrapped(blob.into_inner()))).ok_or_else(|| self.odd_answer())
        })
    }

    fn describe(&self) -> String {
        format!("AWS KMS key {} in {}", self.config.key_id, self.config.aws_region)
    }
}

impl AwsKms {
    fn key(&self, plaintext: Option<Blob>) -> Result<DataKey, KmsError> {
        let bytes = plaintext.map(|blob| Zeroizing::new(blob.into_inner()));
        bytes.and_then(|bytes| DataKey::from_slice(&bytes)).ok_or_else(|| self.odd_answer())
    }

    fn odd_answer(&self) -> KmsError {
        refused(self.describe(), "an answer without a 256-bit key", "is the endpoint a KMS?")
    }
}

fn pairs(context: &KeyContext) -> HashMap<String, String> {
    context.as_pairs().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn refused(kms: String, code: &str, what_to_do: &str) -> KmsError {
    KmsError::Refused { kms, why: format!("{code}: {what_to_do}") }
}

/// Stands in for a cause that the SDK does not give.
#[derive(Debug, thiserror::Error)]
#[error("the request could not be sent")]
struct NoCause;

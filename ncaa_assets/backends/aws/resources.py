"""The AWS backend as Dagster resources: S3 through dagster-aws' `S3Resource`, DynamoDB, and MediaConvert.

The only file that imports `dagster_aws`, and only an aws deployment imports it: that takes longer than all of Dagster.
No credential passes through here: boto3 finds them by its own chain.
"""

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import Field

from ncaa_assets.backends.aws.boto import dynamodb_client, explained, mediaconvert_client
from ncaa_assets.backends.aws.dynamodb import DynamoDBTable
from ncaa_assets.backends.aws.mediaconvert import MediaConvertTranscoder
from ncaa_assets.backends.aws.s3 import S3Store
from ncaa_assets.media.profile import PROFILE
from ncaa_assets.ports import HighlightTable, ObjectStore, Transcoder
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.settings import Settings


class S3StoreResource(dg.ConfigurableResource[ObjectStore]):
    """The archive as an S3 bucket."""

    s3: S3Resource
    bucket: str = Field(description="the bucket; it is made beforehand")
    prefix: str = Field(description="what the keys begin with")
    retry_count: int
    retry_delay_seconds: float

    def create_resource(self, context: dg.InitResourceContext) -> ObjectStore:  # noqa: ARG002
        return self.open()

    def open(self) -> S3Store:
        """The store itself, for what runs outside of a Dagster run too."""
        with explained(f"the bucket {self.bucket}"):
            client = self.s3.get_client()
        return S3Store(client, self.bucket, self.prefix, retry=RetryPolicy(self.retry_count, self.retry_delay_seconds))


class DynamoDBTableResource(dg.ConfigurableResource[HighlightTable]):
    """The rows as a DynamoDB table."""

    table: str = Field(description="the table; it is made beforehand")
    retry_count: int
    retry_delay_seconds: float

    def create_resource(self, context: dg.InitResourceContext) -> HighlightTable:  # noqa: ARG002
        return self.open()

    def open(self) -> DynamoDBTable:
        """The table itself, for what runs outside of a Dagster run too."""
        retry = RetryPolicy(self.retry_count, self.retry_delay_seconds)
        return DynamoDBTable(dynamodb_client(retry), self.table, retry=retry)


class MediaConvertResource(dg.ConfigurableResource[Transcoder]):
    """MediaConvert as the encoder."""

    store: dg.ResourceDependency[ObjectStore]
    role_arn: str = Field(description="the role by which MediaConvert reads the copies and writes the encodes")
    endpoint: str | None = Field(description="an endpoint of the account's own; null: the region's")
    queue: str | None = Field(description="a queue; null: the account's default")
    timeout_seconds: int = Field(description="the most seconds that a run waits for one job")
    retry_count: int

    def create_resource(self, context: dg.InitResourceContext) -> Transcoder:  # noqa: ARG002
        if not isinstance(self.store, S3Store):
            raise dg.DagsterInvariantViolationError("MediaConvert reads and writes S3; give it an S3StoreResource")
        return MediaConvertTranscoder(
            mediaconvert_client(RetryPolicy(self.retry_count), self.endpoint),
            self.store,
            PROFILE,
            role=self.role_arn,
            queue=self.queue,
            timeout=self.timeout_seconds,
        )


def aws_services(settings: Settings) -> tuple[S3StoreResource, DynamoDBTableResource, MediaConvertResource]:
    """The store, the table and the transcoder of an aws deployment's settings."""
    store = _store(settings)
    return (
        store,
        _table(settings),
        MediaConvertResource(
            store=store,
            role_arn=settings.mediaconvert_role_arn or "",
            endpoint=settings.mediaconvert_endpoint,
            queue=settings.mediaconvert_queue,
            timeout_seconds=settings.encode_timeout,
            retry_count=settings.retry_count,
        ),
    )


def open_store(settings: Settings) -> S3Store:
    """The archive's store; a SettingsError or StoreError says why there is none."""
    return _store(settings).open()


def open_table(settings: Settings) -> DynamoDBTable:
    """The archive's table."""
    return _table(settings).open()


def _store(settings: Settings) -> S3StoreResource:
    return S3StoreResource(
        s3=S3Resource(max_attempts=settings.retry_count),
        bucket=settings.s3_bucket_name or "",
        prefix=settings.s3_prefix,
        retry_count=settings.retry_count,
        retry_delay_seconds=settings.retry_delay,
    )


def _table(settings: Settings) -> DynamoDBTableResource:
    return DynamoDBTableResource(
        table=settings.dynamodb_table, retry_count=settings.retry_count, retry_delay_seconds=settings.retry_delay
    )

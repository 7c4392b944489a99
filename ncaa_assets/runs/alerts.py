"""How a failure reaches a person: in the log always, and on aws by the SNS topic."""

import logging
from dataclasses import dataclass

from ncaa_assets.failures import AlertNotSent
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.settings import Settings
from ncaa_assets.text import LINE, unlinked, visible

log = logging.getLogger(__name__)

# The limits of SNS: "Publish" in its API reference.
_MOST_SUBJECT_CHARACTERS = 100
_MOST_MESSAGE_BYTES = 256 * 1024
_MOST_LINE = 20_000  # characters: every day of a long range, each with its sentence
_MOST_IN_LOG = LINE - 500  # of them there, so that the link stands behind them


@dataclass(frozen=True)
class Alert:
    """A failure as a person reads it: the job, its day (or days, or None), one sentence and a link."""

    job: str
    day: str | None
    sentence: str
    link: str

    @property
    def subject(self) -> str:
        """One line of ASCII, which SNS demands of a subject."""
        text = f"ncaa_assets: {self.job}{f' of {self.day}' if self.day else ''} failed"
        return visible(text).encode("ascii", "replace").decode()[:_MOST_SUBJECT_CHARACTERS]

    @property
    def text(self) -> str:
        """The whole alert, line by line."""
        error = unlinked(self.sentence)  # mail programs make links of addresses, whoever named them
        lines = {"job:  ": self.job, "day:  ": self.day or "none", "error:": error, "look: ": self.link}
        return "\n".join(f"{name} {visible(text, most=_MOST_LINE)}" for name, text in lines.items())


def run_link(settings: Settings, run_id: str) -> str:
    """The address at which the UI shows a run."""
    return f"{settings.ui_url.rstrip('/')}/runs/{run_id}"


def send(settings: Settings, alert: Alert) -> None:
    """Logs an alert, and on aws publishes it to the topic where there is one.

    Raises:
        AlertNotSent: the topic did not accept it. It is in the log all the same.
    """
    of_day = f" {alert.day}" if alert.day else ""
    sentence = visible(f"{alert.job}{of_day}: {unlinked(alert.sentence)}", most=_MOST_IN_LOG)
    log.error("ALERT %s (%s)", sentence, alert.link)
    if settings.ncaa_deployment == "aws" and settings.alert_topic_arn is not None:
        _publish(settings.alert_topic_arn, alert)


def _publish(topic: str, alert: Alert) -> None:
    import boto3  # noqa: PLC0415 - only an alert on aws needs it
    import botocore.exceptions as boto_errors  # noqa: PLC0415

    from ncaa_assets.backends.aws.boto import sentence  # noqa: PLC0415
    from ncaa_assets.backends.aws.clients import retries  # noqa: PLC0415

    message = alert.text.encode()[:_MOST_MESSAGE_BYTES].decode("utf-8", "ignore")
    try:
        client = boto3.client("sns", region_name=topic.split(":")[3], config=retries(RetryPolicy(2)))
        client.publish(TopicArn=topic, Subject=alert.subject, Message=message)
    except (boto_errors.BotoCoreError, boto_errors.ClientError) as error:
        what = sentence(f"the topic {topic}", error, {"NotFound": f"there is no topic {topic}; check ALERT_TOPIC_ARN"})
        raise AlertNotSent(f"the alert was not sent: {what}") from error

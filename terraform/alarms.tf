# How trouble reaches a person: one topic, and what writes to it besides Dagster and `catch-up` themselves.

locals {
  # Named here too, because the topic's policy is there before the alarms are.
  alarms = {
    nothing_backed_up = "${var.project_name}-nothing-backed-up"
    not_started       = "${var.project_name}-not-started"
    database_full     = "${var.project_name}-database-full"
  }
}

resource "aws_sns_topic" "alerts" {
  #checkov:skip=CKV_AWS_26: CloudWatch and EventBridge cannot publish to a topic under AWS's own key, and another costs a dollar a month

  name = "${var.project_name}-alerts"
}

resource "aws_sns_topic_subscription" "mail" {
  for_each = toset(var.alert_emails)

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = each.value
}

locals {
  unconfirmed = sort([for one in aws_sns_topic_subscription.mail : one.endpoint if one.pending_confirmation])
  confirm     = "AWS has sent each a mail with the subject \"AWS Notification - Subscription Confirmation\", perhaps into the folder for spam: click on its link, then apply again."
}

check "every_address_hears_alerts" {
  assert {
    condition     = length(local.unconfirmed) == 0
    error_message = "No alert reaches ${join(", ", local.unconfirmed)} yet. ${local.confirm}"
  }
}

check "somebody_hears_alerts" {
  assert {
    condition     = length(var.alert_emails) > 0
    error_message = "alert_emails is empty: no failure is mailed to anybody. Name an address, unless something else is subscribed to the topic ${aws_sns_topic.alerts.name}."
  }
}

resource "aws_sns_topic_policy" "alerts" {
  arn = aws_sns_topic.alerts.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # Without a condition, because EventBridge takes none in a topic's policy: its messages would be refused, unseen.
        Sid       = "Rules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alerts.arn
      },
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alerts.arn
        Condition = { ArnEquals = { "aws:SourceArn" = [for name in local.alarms : "${local.arn.cloudwatch}:alarm:${name}"] } }
      },
    ]
  })
}

# ---- The dead man's alarm: it goes off when nothing is heard ---------------------------------------------------------------

# Every run logs a line of JSON when its day is done (ncaa_assets/runs/day_line.py), which is JSON from its first character to
# its last. Its own fields are looked at, and no words: those may be in the title of a video, on a day that fails.
resource "aws_cloudwatch_log_metric_filter" "day_backed_up" {
  name           = "${var.project_name}-day-backed-up"
  log_group_name = aws_cloudwatch_log_group.main.name
  pattern        = "{ ($.event = \"ncaa_assets_day\") && ($.result = \"backed_up\") }"

  metric_transformation {
    namespace = "ncaa_assets"
    name      = "${var.project_name}-days-backed-up"
    value     = "1"
    unit      = "Count"
  }
}

# It is made when the deployment starts, with its actions on. Actions run when the state changes, never because of a state
# that is there already: an alarm that was made earlier and muted would be in ALARM before anybody listens, and for ever.
resource "aws_cloudwatch_metric_alarm" "nothing_backed_up" {
  count = local.started ? 1 : 0

  alarm_name        = local.alarms.nothing_backed_up
  alarm_description = "No day was backed up within 26 hours. Soon after the deployment's start, before its first day is backed up, this only proves that alerts reach you; OK follows after the first day. Else look at the log of catch-up and of the service (terraform output -raw logs_command), or run `ncaa-assets doctor` in a run's task (terraform output -raw doctor_command)."
  namespace         = aws_cloudwatch_log_metric_filter.day_backed_up.metric_transformation[0].namespace
  metric_name       = aws_cloudwatch_log_metric_filter.day_backed_up.metric_transformation[0].name

  # Periods of an hour, because CloudWatch looks back further than a day only with these.
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 26
  datapoints_to_alarm = 26
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"

  alarm_actions = [aws_sns_topic.alerts.arn]
  ok_actions    = [aws_sns_topic.alerts.arn]

  depends_on = [aws_sns_topic_policy.alerts, terraform_data.ready_to_start]
}

resource "aws_cloudwatch_metric_alarm" "not_started" {
  alarm_name        = local.alarms.not_started
  alarm_description = "EventBridge could not start catch-up, also when tried again. The message in the queue ${aws_sqs_queue.not_started.name} says why; delete it afterwards."
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateNumberOfMessagesVisible"
  dimensions        = { QueueName = aws_sqs_queue.not_started.name }

  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"

  alarm_actions = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_metric_alarm" "database_full" {
  count = var.always_on ? 1 : 0

  alarm_name        = local.alarms.database_full
  alarm_description = "Dagster's database has less than 2 GiB left and has not grown by itself: raise database_storage_gib."
  namespace         = "AWS/RDS"
  metric_name       = "FreeStorageSpace"
  dimensions        = { DBInstanceIdentifier = aws_db_instance.dagster[0].identifier }

  statistic           = "Minimum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "LessThanThreshold"
  threshold           = 2 * pow(1024, 3)
  treat_missing_data  = "notBreaching"

  alarm_actions = [aws_sns_topic.alerts.arn]
}

# How trouble reaches a person: one topic, and what writes to it besides Dagster and `catch-up` themselves.

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

resource "aws_sns_topic_policy" "alerts" {
  arn = aws_sns_topic.alerts.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Rules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alerts.arn
        Condition = { ArnEquals = { "aws:SourceArn" = [
          aws_cloudwatch_event_rule.encode_failed.arn, aws_cloudwatch_event_rule.task_failed.arn,
        ] } }
      },
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alerts.arn
        Condition = { ArnLike = { "aws:SourceArn" = "${local.arn.cloudwatch}:alarm:${var.project_name}-*" } }
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

resource "aws_cloudwatch_metric_alarm" "nothing_backed_up" {
  alarm_name        = "${var.project_name}-nothing-backed-up"
  alarm_description = "No day was backed up within 26 hours. Look at the log of catch-up and of the service, or run `ncaa-assets doctor` in a run's task (terraform output -raw doctor_command)."
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

  actions_enabled = local.started
  alarm_actions   = [aws_sns_topic.alerts.arn]
  ok_actions      = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_metric_alarm" "not_started" {
  alarm_name        = "${var.project_name}-not-started"
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

  alarm_name        = "${var.project_name}-database-full"
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

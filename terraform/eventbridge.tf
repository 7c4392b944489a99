# The daily trigger outside of Dagster, and the events that mean trouble.

locals {
  # The archive, as each of its MediaConvert jobs names it (ncaa_assets/backends/aws/mediaconvert.py).
  archive = substr("s3://${local.bucket_name}/${local.prefix}", 0, 256)

  # What ECS calls the tasks that were started one by one from a definition.
  run_group      = "family:${local.run_family}"
  catch_up_group = "family:${var.project_name}-catch-up"
}

# What the schedule could not start, also when tried again: an alarm watches it (alarms.tf).
resource "aws_sqs_queue" "not_started" {
  name                      = "${var.project_name}-not-started"
  message_retention_seconds = 14 * 24 * 3600
  sqs_managed_sse_enabled   = true
}

resource "aws_scheduler_schedule" "catch_up" {
  #checkov:skip=CKV_AWS_297: the schedule holds names and no secret; a KMS key of one's own costs a dollar a month

  name                         = "${var.project_name}-catch-up"
  description                  = "ncaa-assets catch-up: backs up whichever of the last days is missing"
  schedule_expression          = var.catch_up_schedule
  schedule_expression_timezone = var.timezone
  state                        = local.started ? "ENABLED" : "DISABLED"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_ecs_cluster.main.arn
    role_arn = aws_iam_role.scheduler.arn

    ecs_parameters {
      task_definition_arn = module.catch_up_task.arn
      launch_type         = "FARGATE"
      task_count          = 1
      propagate_tags      = "TASK_DEFINITION"

      network_configuration {
        subnets          = aws_subnet.public[*].id
        security_groups  = [aws_security_group.tasks.id]
        assign_public_ip = true
      }
    }

    # catch-up may be run at any time and twice at once, so a late start is better than none.
    retry_policy {
      maximum_retry_attempts       = 10
      maximum_event_age_in_seconds = 4 * 3600
    }

    dead_letter_config {
      arn = aws_sqs_queue.not_started.arn
    }
  }

  depends_on = [aws_iam_role_policy.scheduler, terraform_data.ready_to_start]
}

resource "aws_cloudwatch_event_rule" "encode_failed" {
  name        = "${var.project_name}-encode-failed"
  description = "MediaConvert jobs of this archive that ended in ERROR"
  event_pattern = jsonencode({
    source      = ["aws.mediaconvert"]
    detail-type = ["MediaConvert Job State Change"]
    detail = {
      status       = ["ERROR"]
      userMetadata = { ncaa_assets_archive = [local.archive] }
    }
  })
}

# EventBridge escapes nothing that it inserts between quotes, so that a quote in a reason would break the JSON and lose the
# mail. A bare variable becomes the JSON of its value.
resource "aws_cloudwatch_event_target" "encode_failed" {
  rule = aws_cloudwatch_event_rule.encode_failed.name
  arn  = aws_sns_topic.alerts.arn

  input_transformer {
    input_paths = {
      job     = "$.detail.jobId"
      code    = "$.detail.errorCode"
      message = "$.detail.errorMessage"
    }
    input_template = <<-JSON
      {
        "alert": "ncaa_assets: a MediaConvert job failed",
        "deployment": "${var.project_name}",
        "reason": <message>,
        "error": <code>,
        "job": <job>,
        "what to do": "Nothing at once: the next run of its day tries again, and alerts if that fails too."
      }
    JSON
  }
}

resource "aws_cloudwatch_event_rule" "task_failed" {
  name        = "${var.project_name}-task-failed"
  description = "Tasks of this cluster that did not start, or ended with an error, and tell nobody themselves"
  event_pattern = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail = {
      clusterArn = [aws_ecs_cluster.main.arn]
      lastStatus = ["STOPPED"]
      # One alert a failure. A run's task is watched by whoever launched it, the daemon or catch-up, which runs it again
      # and alerts if that fails too; so its group is in none of these, and the two that watch are. What a person, a
      # deployment or Dagster stopped is left out (UserInitiated, ServiceSchedulerInitiated).
      "$or" = [
        {
          group    = [{ anything-but = [local.run_group] }]
          stopCode = ["TaskFailedToStart", "SpotInterruption", "TerminationNotice"]
        },
        {
          group      = [{ anything-but = [local.run_group, local.catch_up_group] }]
          stopCode   = ["EssentialContainerExited"]
          containers = { exitCode = [{ anything-but = [0] }] }
        },
        {
          # It ends with 1 when it has alerted, with 3 when it could not, and with another code when it never got there.
          group      = [local.catch_up_group]
          stopCode   = ["EssentialContainerExited"]
          containers = { exitCode = [{ anything-but = [0, 1] }] }
        },
        { stopCode = ["ServiceSchedulerInitiated"], stoppedReason = [{ prefix = "Task failed" }] },
      ]
    }
  })
}

resource "aws_cloudwatch_event_target" "task_failed" {
  rule = aws_cloudwatch_event_rule.task_failed.name
  arn  = aws_sns_topic.alerts.arn

  input_transformer {
    input_paths = {
      group  = "$.detail.group"
      task   = "$.detail.taskArn"
      reason = "$.detail.stoppedReason"
    }
    input_template = <<-JSON
      {
        "alert": "ncaa_assets: a task stopped",
        "deployment": "${var.project_name}",
        "group": <group>,
        "reason": <reason>,
        "task": <task>,
        "what to do": "Read its log in ${aws_cloudwatch_log_group.main.name} (terraform output -raw logs_command). ECS starts the service again by itself; catch-up starts again tomorrow, or now by terraform output -raw catch_up_command."
      }
    JSON
  }
}

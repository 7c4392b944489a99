# Who may do what: a role for each part, with exactly what it does on exactly its resources. A statement that names
# everything (`*`) has its reason above it, begun with its Sid; ncaa_assets_tests/deployment/test_terraform.py looks for it.

locals {
  # Roles have no region, so their names do. Those that an earlier version named without one stay as they are.
  role_prefix = "${var.project_name}-${var.aws_region}"

  archive_objects = "${aws_s3_bucket.archive.arn}/${local.prefix}*"
  listing_objects = "${aws_s3_bucket.archive.arn}/${local.prefix}highlights/*"
  identity_object = "${aws_s3_bucket.archive.arn}/${local.prefix}archive.json"
  lease_objects   = "${aws_s3_bucket.archive.arn}/${local.prefix}.leases/*"
  quota_objects   = "${aws_s3_bucket.archive.arn}/${local.prefix}.quota/*"
  log_objects     = "${aws_s3_bucket.archive.arn}/${local.logs_prefix}*"

  tasks = "${local.arn.ecs}:task/${aws_ecs_cluster.main.name}/*"

  # Only for tasks of this account, so that nobody else's task can be talked into using a role of ours.
  trusts_tasks = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "${local.arn.ecs}:*" }
      }
    }]
  })

  # What starting and watching a run's task takes: of EcsRunLauncher, in the daemon, the webserver and `catch-up`.
  launch_statements = [
    {
      Sid       = "StartRuns"
      Effect    = "Allow"
      Action    = "ecs:RunTask"
      Resource  = module.run_task.every_arn
      Condition = { ArnEquals = { "ecs:cluster" = aws_ecs_cluster.main.arn } }
    },
    {
      Sid       = "WatchAndStopTasks"
      Effect    = "Allow"
      Action    = ["ecs:DescribeTasks", "ecs:StopTask"]
      Resource  = local.tasks
      Condition = { ArnEquals = { "ecs:cluster" = aws_ecs_cluster.main.arn } }
    },
    {
      Sid       = "TagTheTasksOfRuns"
      Effect    = "Allow"
      Action    = "ecs:TagResource"
      Resource  = local.tasks
      Condition = { StringEquals = { "ecs:CreateAction" = "RunTask" } }
    },
    {
      # DescribeDefinitionsAndInterfaces: ecs:DescribeTaskDefinition and ec2:DescribeNetworkInterfaces take no resource
      # (Service Authorization Reference); by the second the launcher finds the subnet and group of its own task.
      Sid      = "DescribeDefinitionsAndInterfaces"
      Effect   = "Allow"
      Action   = ["ecs:DescribeTaskDefinition", "ec2:DescribeNetworkInterfaces"]
      Resource = "*"
    },
    {
      Sid      = "ReadTheLogOfADeadRun"
      Effect   = "Allow"
      Action   = "logs:GetLogEvents"
      Resource = "${aws_cloudwatch_log_group.main.arn}:log-stream:*"
    },
    {
      Sid       = "GiveRunsTheirRoles"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = [aws_iam_role.execution.arn, aws_iam_role.run.arn]
      Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
    },
  ]

  # Without it S3 answers for an object that is not there that one may not read it.
  list_statement = {
    Sid      = "ListTheBucket"
    Effect   = "Allow"
    Action   = "s3:ListBucket"
    Resource = aws_s3_bucket.archive.arn
  }

  compute_log_statement = {
    Sid      = "KeepComputeLogs"
    Effect   = "Allow"
    Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    Resource = local.log_objects
  }

  # Of a run that was killed, whoever finds it clears the lease.
  lease_statement = {
    Sid      = "ClearLeases"
    Effect   = "Allow"
    Action   = ["s3:GetObject", "s3:DeleteObject"]
    Resource = local.lease_objects
  }

  alert_statement = {
    Sid      = "Alert"
    Effect   = "Allow"
    Action   = "sns:Publish"
    Resource = aws_sns_topic.alerts.arn
  }
}

# ---- Before a container starts: its image, its secrets, its log -----------------------------------------------------------

resource "aws_iam_role" "execution" {
  name               = "${local.role_prefix}-execution"
  description        = "ECS itself: pulls the image, reads the secrets, writes the log"
  assume_role_policy = local.trusts_tasks

  lifecycle {
    ignore_changes = [name]
  }
}

resource "aws_iam_role_policy" "execution" {
  name = "start-containers"
  role = aws_iam_role.execution.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          # SignInToTheRegistry: ecr:GetAuthorizationToken takes no resource; what it lets one pull is said below.
          Sid      = "SignInToTheRegistry"
          Effect   = "Allow"
          Action   = "ecr:GetAuthorizationToken"
          Resource = "*"
        },
        {
          Sid      = "PullTheImage"
          Effect   = "Allow"
          Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = aws_ecr_repository.main.arn
        },
        {
          Sid      = "WriteTheLog"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = "${aws_cloudwatch_log_group.main.arn}:log-stream:*"
        },
        {
          Sid    = "ReadTheSecrets"
          Effect = "Allow"
          Action = "secretsmanager:GetSecretValue"
          Resource = concat(
            [aws_secretsmanager_secret.database.arn],
            local.given.rapidapi_ssm_parameter_arn == null ? [local.api_key_secret_arn] : [],
          )
        },
      ],
      local.given.rapidapi_ssm_parameter_arn == null ? [] : [{
        Sid      = "ReadTheParameter"
        Effect   = "Allow"
        Action   = "ssm:GetParameters"
        Resource = local.given.rapidapi_ssm_parameter_arn
      }],
      local.given.rapidapi_kms_key_arn == null ? [] : [{
        Sid      = "DecryptTheKey"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = local.given.rapidapi_kms_key_arn
      }],
    )
  })
}

# ---- The webserver and the daemon -----------------------------------------------------------------------------------------

resource "aws_iam_role" "service" {
  name               = "${local.role_prefix}-service"
  description        = "Webserver and daemon: launch runs, show their logs, alert"
  assume_role_policy = local.trusts_tasks

  lifecycle {
    ignore_changes = [name]
  }
}

resource "aws_iam_role_policy" "service" {
  name = "launch-and-alert"
  role = aws_iam_role.service.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.launch_statements, [
      local.list_statement,
      {
        # The daily schedule looks whether somebody else was there before it.
        Sid      = "ReadTheListings"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = [local.listing_objects, local.identity_object]
      },
      local.compute_log_statement,
      local.lease_statement,
      local.alert_statement,
      {
        # OpenSessions: ECS Exec's four actions take no resource; a session is opened by whoever may ecs:ExecuteCommand
        # and ssm:StartSession on the task, which is nobody by this role.
        Sid    = "OpenSessions"
        Effect = "Allow"
        Action = [
          "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
          "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
        ]
        Resource = "*"
      },
    ])
  })
}

# ---- A run: the only one that writes the archive --------------------------------------------------------------------------

resource "aws_iam_role" "run" {
  name               = "${local.role_prefix}-run"
  description        = "A run: reads and writes the archive, encodes"
  assume_role_policy = local.trusts_tasks

  lifecycle {
    ignore_changes = [name]
  }
}

resource "aws_iam_role_policy" "run" {
  name = "back-up"
  role = aws_iam_role.run.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.list_statement,
      {
        Sid      = "LookAtTheBucket"
        Effect   = "Allow"
        Action   = ["s3:ListBucketMultipartUploads", "s3:GetBucketVersioning"]
        Resource = aws_s3_bucket.archive.arn
      },
      {
        # It may delete an object and never a version of one: whatever a run does, the bucket has what was there before.
        Sid      = "ReadAndWriteTheArchive"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        Resource = local.archive_objects
      },
      local.compute_log_statement,
      {
        Sid      = "ReadAndWriteRows"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeTable", "dynamodb:BatchGetItem", "dynamodb:PutItem"]
        Resource = aws_dynamodb_table.highlights.arn
      },
      {
        Sid      = "FindRowsByDay"
        Effect   = "Allow"
        Action   = "dynamodb:Query"
        Resource = "${aws_dynamodb_table.highlights.arn}/index/by_game_date"
      },
      {
        Sid      = "Encode"
        Effect   = "Allow"
        Action   = ["mediaconvert:CreateJob", "mediaconvert:GetQueue"]
        Resource = local.mediaconvert_queue_arn
      },
      {
        # WatchJobs: a job's id is MediaConvert's own, so a job can be named by no other pattern.
        Sid      = "WatchJobs"
        Effect   = "Allow"
        Action   = "mediaconvert:GetJob"
        Resource = "${local.arn.mediaconvert}:jobs/*"
      },
      {
        # FindJobs: a list or a search that names no queue is of all of them; both only read.
        Sid      = "FindJobs"
        Effect   = "Allow"
        Action   = ["mediaconvert:ListJobs", "mediaconvert:SearchJobs"]
        Resource = "*"
      },
      {
        Sid       = "GiveMediaConvertItsRole"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = local.mediaconvert_role_arn
        Condition = { StringEquals = { "iam:PassedToService" = "mediaconvert.amazonaws.com" } }
      },
      # For `ncaa-assets doctor`, which a person may run in a run's place.
      {
        Sid      = "LookAtMediaConvertsRole"
        Effect   = "Allow"
        Action   = "iam:GetRole"
        Resource = local.mediaconvert_role_arn
      },
      {
        Sid      = "SeeWhoHearsAlerts"
        Effect   = "Allow"
        Action   = "sns:ListSubscriptionsByTopic"
        Resource = aws_sns_topic.alerts.arn
      },
    ]
  })
}

# ---- `ncaa-assets catch-up`: looks at what is backed up, and launches runs for what is not --------------------------------

resource "aws_iam_role" "catch_up" {
  name               = "${local.role_prefix}-catch-up"
  description        = "ncaa-assets catch-up: reads the archive, launches runs, alerts"
  assume_role_policy = local.trusts_tasks

  lifecycle {
    ignore_changes = [name]
  }
}

resource "aws_iam_role_policy" "catch_up" {
  name = "look-and-launch"
  role = aws_iam_role.catch_up.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.launch_statements, [
      local.list_statement,
      {
        Sid      = "ReadTheArchive"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = local.archive_objects
      },
      local.lease_statement,
      {
        # Before days it asks the API how many requests are left, and every run counts on.
        Sid      = "NoteWhatIsLeftOfTheQuota"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = local.quota_objects
      },
      {
        Sid      = "ReadRows"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeTable", "dynamodb:BatchGetItem"]
        Resource = aws_dynamodb_table.highlights.arn
      },
      local.alert_statement,
    ])
  })
}

# ---- EventBridge Scheduler ------------------------------------------------------------------------------------------------

resource "aws_iam_role" "scheduler" {
  name        = "${local.role_prefix}-scheduler"
  description = "EventBridge Scheduler: starts catch-up"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })

  lifecycle {
    ignore_changes = [name]
  }
}

resource "aws_iam_role_policy" "scheduler" {
  name = "start-catch-up"
  role = aws_iam_role.scheduler.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "StartCatchUp"
        Effect    = "Allow"
        Action    = "ecs:RunTask"
        Resource  = module.catch_up_task.every_arn
        Condition = { ArnEquals = { "ecs:cluster" = aws_ecs_cluster.main.arn } }
      },
      {
        Sid       = "TagItsTask"
        Effect    = "Allow"
        Action    = "ecs:TagResource"
        Resource  = local.tasks
        Condition = { StringEquals = { "ecs:CreateAction" = "RunTask" } }
      },
      {
        Sid       = "GiveItItsRoles"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = [aws_iam_role.execution.arn, aws_iam_role.catch_up.arn]
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      {
        Sid      = "KeepWhatCouldNotBeStarted"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.not_started.arn
      },
    ]
  })
}

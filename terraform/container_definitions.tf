# What runs in the containers: one image in every role by its command, and the environment that the code reads.
# ncaa_assets_tests/deployment/test_terraform.py compares the names with settings.py and with the instance's dagster.yaml.

locals {
  # What Dagster's instance (ncaa_assets/instance/ecs.yaml) expands, and where it lies in the image.
  dagster_environment = {
    DAGSTER_HOME          = "/opt/dagster/ecs"
    DAGSTER_POSTGRES_HOST = local.database_host
    DAGSTER_POSTGRES_USER = local.database_user
    DAGSTER_POSTGRES_DB   = local.database_name

    DAGSTER_RUN_TASK_DEFINITION = local.run_family
  }

  # What ncaa_assets/settings.py reads. An unset or empty one is left out, and the code's own default holds.
  settings_environment = merge(
    {
      AWS_REGION            = var.aws_region
      S3_BUCKET_NAME        = aws_s3_bucket.archive.bucket
      S3_PREFIX             = local.given.s3_prefix
      DYNAMODB_TABLE        = aws_dynamodb_table.highlights.name
      MEDIACONVERT_ROLE_ARN = local.mediaconvert_role_arn
      MEDIACONVERT_QUEUE    = local.given.mediaconvert_queue
      MEDIACONVERT_ENDPOINT = local.given.mediaconvert_endpoint
      ALERT_TOPIC_ARN       = aws_sns_topic.alerts.arn
      TIMEZONE              = var.timezone
      START_DATE            = var.start_date
      LEAGUE_NAME           = var.league_name
      LOOKBACK_DAYS         = tostring(var.lookback_days)
      VIDEO_COUNT           = var.video_count
      LIMIT                 = tostring(var.limit)
      RETRY_COUNT           = tostring(var.retry_count)
      RETRY_DELAY           = tostring(var.retry_delay)
    },
    var.settings,
  )

  variables       = { for name, value in merge(local.dagster_environment, local.settings_environment) : name => value if value != null && value != "" }
  run_environment = [for name, value in local.variables : { name = name, value = value }]

  # The launcher looks its definition up once, when its process starts. So whoever launches is told the very revision, and a
  # new one is a new definition for them too.
  launcher_environment = [
    for name, value in merge(local.variables, { DAGSTER_RUN_TASK_DEFINITION = module.run_task.arn }) : { name = name, value = value }
  ]

  database_secret = { name = "DAGSTER_POSTGRES_PASSWORD", valueFrom = aws_secretsmanager_secret_version.database.arn }
  api_key_secret  = { name = "RAPIDAPI_KEY", valueFrom = local.api_key_value_from }

  workspace = "/opt/dagster/ecs/workspace.yaml"

  # What all containers have in common. ECS gives back an answer with all of these in it; what is left out here would
  # differ from it for ever.
  container = {
    image          = local.image
    essential      = true
    mountPoints    = []
    portMappings   = []
    systemControls = []
    volumesFrom    = []
    # Reaps what a session of ECS Exec leaves, and hands signals on.
    linuxParameters = { initProcessEnabled = true }
  }

  # What a run says is counted by an alarm, so none of its lines may be dropped: it waits while CloudWatch takes none. The UI
  # and the daemon do not wait.
  log_modes = { service = "non-blocking", run = "blocking", catch-up = "blocking" }
  log_configuration = {
    for role, mode in local.log_modes : role => {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.main.name
        awslogs-region        = var.aws_region
        awslogs-stream-prefix = role
        mode                  = mode
      }
    }
  }

  # Nobody is started before the code is there to be asked for.
  after_code = [{ containerName = "code", condition = "HEALTHY" }]

  service_containers = [
    merge(local.container, {
      name             = "code"
      environment      = local.launcher_environment
      command          = ["dagster", "api", "grpc", "-h", "127.0.0.1", "-p", "4000", "-m", "ncaa_assets.definitions"]
      secrets          = [local.database_secret]
      logConfiguration = local.log_configuration["service"]
      healthCheck = {
        command     = ["CMD", "python", "-c", "import socket; socket.create_connection(('127.0.0.1', 4000), 5)"]
        interval    = 10
        timeout     = 10
        retries     = 6
        startPeriod = 120
      }
    }),
    merge(local.container, {
      name             = "webserver"
      environment      = local.launcher_environment
      dependsOn        = local.after_code
      command          = ["ncaa-assets", "ui", "--host", "127.0.0.1", "--port", "3000", "--only-web", local.workspace]
      secrets          = [local.database_secret]
      logConfiguration = local.log_configuration["service"]
      healthCheck = {
        command = ["CMD", "python", "-c",
          "import urllib.request; urllib.request.urlopen('http://127.0.0.1:3000/server_info', timeout=10)",
        ]
        interval    = 60
        timeout     = 20
        retries     = 3
        startPeriod = 180
      }
    }),
    merge(local.container, {
      name             = "daemon"
      environment      = local.launcher_environment
      dependsOn        = local.after_code
      command          = ["python", "-m", "ncaa_assets.runs.daemon", "run", "-w", local.workspace]
      secrets          = [local.database_secret]
      logConfiguration = local.log_configuration["service"]
      # It asks the webserver for the heartbeats of the daemon's threads: Dagster's own check takes 150 MiB each time.
      healthCheck = {
        command     = ["CMD", "python", "-m", "ncaa_assets.runs.daemon_health", "http://127.0.0.1:3000"]
        interval    = 60
        timeout     = 20
        retries     = 3
        startPeriod = 300
      }
    }),
  ]

  run_containers = [merge(local.container, {
    name        = "run"
    environment = local.run_environment
    # The launcher puts a run's own command in its place; alone, the task looks whether a backup would work here.
    command          = ["ncaa-assets", "doctor"]
    secrets          = [local.database_secret, local.api_key_secret]
    logConfiguration = local.log_configuration["run"]
    stopTimeout      = 120
  })]

  catch_up_containers = [merge(local.container, {
    name             = "catch-up"
    environment      = local.launcher_environment
    command          = ["ncaa-assets", "catch-up"]
    secrets          = [local.database_secret, local.api_key_secret]
    logConfiguration = local.log_configuration["catch-up"]
    stopTimeout      = 120
  })]
}

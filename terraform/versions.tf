# What this configuration is written for. `terraform init` chooses the newest provider that fits and writes it down in
# .terraform.lock.hcl: keep that file with your state (docs/deployment.md).

terraform {
  required_version = ">= 1.11" # write-only arguments: no password in the state

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

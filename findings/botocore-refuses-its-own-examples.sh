#!/usr/bin/env bash
# botocore 1.43.106 (PyPI).
#
# Guess: the examples that come with botocore, and that the documentation of boto3 shows with each operation, are valid
# calls.
# Seen: of those for S3, seven are refused with a ParamValidationError, as they pass numbers as text: MaxKeys="2" of
# list_objects_v2, PartNumber="1" of upload_part and of complete_multipart_upload. So is one of Lambda, by the length of an
# ID, and one of EC2. Those of DynamoDB and IAM, for one, are all valid.
# So check the types of an example against the parameters before it is copied.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "botocore==1.43.106"
fail() { echo "CHANGED: $1"; exit 1; }

cat > examples.py <<'PY'
import sys

import botocore.session
from botocore.validate import ParamValidator

session = botocore.session.get_session()
loader = session.get_component("data_loader")
for service in sys.argv[1:]:
    model = session.get_service_model(service)
    refused = []
    for operation, examples in sorted(loader.load_service_model(service, "examples-1")["examples"].items()):
        for example in examples:
            shape = model.operation_model(operation).input_shape
            if shape and ParamValidator().validate(example.get("input", {}), shape).has_errors():
                refused.append(operation)
    print(f"{service}:", *refused)
PY
venv/bin/python examples.py dynamodb ec2 iam lambda s3 | tee seen
cat > before <<'TXT'
dynamodb:
ec2: CreateImage
iam:
lambda: UpdateEventSourceMapping
s3: CompleteMultipartUpload ListMultipartUploads ListObjects ListObjectsV2 UploadPart UploadPartCopy UploadPartCopy
TXT
cmp -s before seen || fail "it was: $(cat before)"

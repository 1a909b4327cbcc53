package builtins

import (
	"context"
	"encoding/json"

	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/oci"
)

func ociIndex() declare.Builtin {
	return byDigest(declare.Builtin{
		Name:    "oci.index",
		Text:    "Is `oci.manifest` for an index. Anything else is `malformed`.",
		Answer:  "the index",
		Members: []declare.Field{declare.Named("value", types.A, "the index as JSON; null when not `ok`")},
		Codes:   registryCodes(),
		Examples: []declare.Example{{
			Expression: `[m.platform.architecture | some m in oci.index("${many@}").value.manifests]`,
			Value:      `["amd64", "arm64"]`,
		}, {
			Expression: `oci.index("${app@}").error`,
			Value:      `{"code": "malformed", "message": "manifest ${app@}: got media type \"application/vnd.oci.image.manifest.v1+json\", want an index"}`,
		}},
	}, nil, func(ctx context.Context, from Registry, as oci.Credentials, image oci.Reference) (any, error) {
		body, err := from.Index(ctx, as, image.Name)
		return json.RawMessage(body), err
	})
}

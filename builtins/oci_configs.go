package builtins

import (
	"context"
	"encoding/json"

	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/oci"
)

func ociConfigs() declare.Builtin {
	return byDigest(declare.Builtin{
		Name: "oci.configs",
		Text: "Reads the config files of an image, or of all images below an index. " +
			"It is what `policy.fetchConfigFile` shows to a policy as `config`. One that cannot be had fails the whole.",
		Answer: "the config files",
		Members: []declare.Field{declare.Named("value", types.NewObject(nil, types.NewDynamicProperty(types.S, types.A)),
			"config files by platform: `os/architecture`, `/variant` where there is one, `:os.version` on Windows; empty when not `ok`")},
		Codes: registryCodes(),
		Examples: []declare.Example{{
			Expression: `oci.configs("${many@}").value["linux/arm64"].config.User`,
			Value:      `"65532"`,
		}},
	}, map[string]json.RawMessage{}, func(ctx context.Context, from Registry, as oci.Credentials, image oci.Reference) (any, error) {
		return from.Configs(ctx, as, image.Name)
	})
}

package configured

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/open-policy-agent/opa/v1/config"
	"github.com/open-policy-agent/opa/v1/util"
)

// Overrides are parts of the configuration of the file. OPA would put them over what was discovered
// after the hook, and so undo what the hook makes of them: the hook puts them there itself.
type Overrides struct{ bundles, services, keys any }

// TakeOverrides takes them out of the configuration of the file.
func TakeOverrides(boot map[string]any) Overrides {
	out := Overrides{boot["bundles"], boot["services"], boot["keys"]}
	delete(boot, "bundles")
	delete(boot, "services")
	return out
}

// over puts a value of the file over one that was discovered, as OPA does.
func over(discovered, file any) any {
	below, ok := discovered.(map[string]any)
	above, is := file.(map[string]any)
	if !ok || !is {
		return file
	}
	for name, value := range above {
		if of, has := below[name]; has {
			value = over(of, value)
		}
		below[name] = value
	}
	return below
}

func overText(discovered json.RawMessage, file any) (json.RawMessage, error) {
	if file == nil {
		return discovered, nil
	}
	var value any
	if len(discovered) > 0 {
		if err := util.Unmarshal(discovered, &value); err != nil {
			return nil, err
		}
	}
	return json.Marshal(over(value, file))
}

// Over puts them over a configuration that was discovered.
func (o Overrides) Over(c *config.Config) (err error) {
	if c.Bundles, err = overText(c.Bundles, o.bundles); err != nil {
		return fmt.Errorf("bundles: %w", err)
	}
	if c.Services, err = overText(c.Services, o.services); err != nil {
		return fmt.Errorf("services: %w", err)
	}
	return nil
}

// SameService refuses services of which the one of that name is not that of the file: whoever chooses
// whom discovery asks would choose what is discovered next. OPA does so for services that it asks itself.
func (o Overrides) SameService(name string, services json.RawMessage) error {
	var now map[string]any
	file, is := o.services.(map[string]any)
	if err := util.Unmarshal(services, &now); err != nil || !is || name == "" {
		return nil //nolint:nilerr // a list is that of the file, and nothing is put over it
	}
	if !reflect.DeepEqual(now[name], file[name]) {
		return fmt.Errorf("services.%s: got another one than that of the file: updates to the discovery service are not allowed", name)
	}
	return nil
}

// Brought marks the sources whose key is none of the file.
func (o Overrides) Brought(sources []Source) {
	file, _ := o.keys.(map[string]any)
	for i, of := range sources {
		_, own := file[of.KeyID]
		sources[i].Brought = of.KeyID != "" && !own
	}
}

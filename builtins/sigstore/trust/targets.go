package trust

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/assay-dev/assay/rego/cip"
)

// The bounds of what a repository names. A trusted root has 10 KB, and the oldest
// repositories name a dozen keys.
const (
	mostTargetBytes = 4 << 20
	mostKeys        = 64
)

// FromRepository reads the trusted root of a TUF repository. Requires that the
// client was refreshed. Only a repository that does not know the target at all is
// read in the old way, by the usages of its keys (TR-5).
func FromRepository(client *updater.Updater, target string) (*Root, error) {
	info, err := client.GetTargetInfo(target)
	if err != nil {
		if err.Error() == fmt.Sprintf("target %s not found", target) {
			return fromUsages(client, target)
		}
		return nil, err
	}
	data, err := download(client, info)
	if err != nil {
		return nil, err
	}
	return Parse(data)
}

func download(client *updater.Updater, info *metadata.TargetFiles) ([]byte, error) {
	if info.Length > mostTargetBytes {
		return nil, fmt.Errorf("target %.80s: got %d bytes, want at most %d", info.Path, info.Length, mostTargetBytes)
	}
	held, data, err := client.FindCachedTarget(info, "")
	if err == nil && held == "" {
		_, data, err = client.DownloadTarget(info, "", "")
	}
	if err != nil {
		return nil, fmt.Errorf("target %.80s: %w", info.Path, err)
	}
	return data, nil
}

// usage is what repositories from before trusted_root.json say of a target in its
// custom metadata: Fulcio, CTFE or Rekor. Timestamp authorities are not among them.
type usage struct {
	Sigstore struct {
		Usage string `json:"usage"`
		URI   string `json:"uri"`
	} `json:"sigstore"`
}

// fromUsages makes a root of the keys that the targets of a repository name. Keys
// that are no longer in use count, as they do upstream: they verify what is old.
func fromUsages(client *updater.Updater, target string) (*Root, error) {
	keys, err := usages(client)
	if err != nil {
		return nil, err
	}
	if len(keys.CertificateAuthorities) == 0 {
		return nil, fmt.Errorf("target %s not found, and by the usages of the targets: no certificate authorities found", target)
	}
	for i, log := range keys.TLogs {
		key, err := cryptoutils.UnmarshalPEMToPublicKey(log.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("public key %d: %w", i, err)
		}
		if _, ok := key.(*ecdsa.PublicKey); !ok {
			return nil, fmt.Errorf("public key %d is not ecdsa.PublicKey", i)
		}
	}
	return FromKeys(keys)
}

func usages(client *updater.Updater) (*cip.SigstoreKeys, error) {
	out := &cip.SigstoreKeys{}
	var chain [][]byte
	all := client.GetTopLevelTargets()
	count := 0
	for _, name := range slices.Sorted(maps.Keys(all)) {
		info := all[name]
		var custom usage
		if info.Custom == nil || json.Unmarshal(*info.Custom, &custom) != nil || !slices.Contains([]string{"Fulcio", "CTFE", "Rekor"}, custom.Sigstore.Usage) {
			continue
		}
		if count++; count > mostKeys {
			return nil, fmt.Errorf("targets: got more than %d keys", mostKeys)
		}
		data, err := download(client, info)
		if err != nil {
			return nil, err
		}
		log := cip.TransparencyLog{BaseURL: cip.URL(custom.Sigstore.URI), PublicKey: data}
		switch custom.Sigstore.Usage {
		case "Fulcio":
			if _, err := ParseCertificates(data, mostKeys); err != nil {
				return nil, fmt.Errorf("target %.80s: %w", name, err)
			}
			chain = append(chain, bytes.TrimSpace(data))
		case "CTFE":
			out.CTLogs = append(out.CTLogs, log)
		case "Rekor":
			out.TLogs = append(out.TLogs, log)
		}
	}
	if len(chain) > 0 { // roots and intermediates are targets of their own
		out.CertificateAuthorities = []cip.CertificateAuthority{{CertChain: append(bytes.Join(chain, []byte("\n")), '\n')}}
	}
	return out, nil
}

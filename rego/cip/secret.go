package cip

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
)

// This file holds the resources that a policy takes keys, credentials and texts
// from. policy-controller's tester takes Secrets of the system namespace alone;
// pull secrets live beside the workloads, so here every namespace will do.

// maxObject bounds the data of one Secret or ConfigMap, as an API server does.
const maxObject = 1 << 20

// Secret is a v1 Secret. It prints as its name, and JSON leaves its data out.
type Secret struct {
	Name string `json:"name"`
	// Namespace is as written; empty is not said.
	Namespace string `json:"namespace,omitempty"`
	// Type is Opaque unless the document names another.
	Type string `json:"type"`
	// Data holds stringData too, which takes precedence.
	Data map[string][]byte `json:"-"`
}

// String returns the name of the Secret, for whoever prints it by mistake.
func (s Secret) String() string { return "Secret " + s.Name }

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// System reports whether a secretRef may mean this Secret.
func (s Secret) System() bool { return inSystem(s.Namespace) }

// FullName is NAMESPACE/NAME. Two that one reference could mean have one FullName:
// where no namespace is said it is the system namespace.
func (s Secret) FullName() string { return cmp.Or(s.Namespace, systemNamespace) + "/" + s.Name }

// ConfigMap is a v1 ConfigMap without its binaryData: policies are text.
type ConfigMap struct {
	Name string `json:"name"`
	// Namespace is as written; empty is not said.
	Namespace string            `json:"namespace,omitempty"`
	Data      map[string]string `json:"data,omitempty"`
}

// System reports whether a configMapRef may mean this ConfigMap.
func (c ConfigMap) System() bool { return inSystem(c.Namespace) }

// FullName is that of [Secret.FullName].
func (c ConfigMap) FullName() string { return cmp.Or(c.Namespace, systemNamespace) + "/" + c.Name }

func inSystem(namespace string) bool { return namespace == "" || namespace == systemNamespace }

type secretObject struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metadata          `json:"metadata"`
	Type       string            `json:"type"`
	Data       map[string][]byte `json:"data"`
	StringData map[string]string `json:"stringData"`
	Immutable  *bool             `json:"immutable"`
}

func (p *parser) secret(h header, tree any) error {
	var object secretObject
	failure := h.failure()
	failure.Decode = decode(tree, &object)
	secret := Secret{
		Name: h.name, Namespace: object.Metadata.Namespace,
		Type: cmp.Or(object.Type, "Opaque"), Data: map[string][]byte{},
	}
	for key, value := range object.Data {
		secret.Data[key] = value
	}
	for key, value := range object.StringData {
		secret.Data[key] = []byte(value)
	}
	v := validation{}
	v.namespace(secret.Namespace)
	v.entries("data", sizes(object.Data))
	v.entries("stringData", sizes(object.StringData))
	v.size("data", sizes(secret.Data))
	failure.Invalid = v.errs
	if err := failure.orNil(); err != nil {
		return err
	}
	return add(p, h, &p.docs.Secrets, secret, "secret")
}

type configMapObject struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metadata          `json:"metadata"`
	Data       map[string]string `json:"data"`
	BinaryData map[string][]byte `json:"binaryData"`
	Immutable  *bool             `json:"immutable"`
}

func (p *parser) configMap(h header, tree any) error {
	var object configMapObject
	failure := h.failure()
	failure.Decode = decode(tree, &object)
	v := validation{}
	v.namespace(object.Metadata.Namespace)
	v.entries("data", sizes(object.Data))
	v.entries("binaryData", sizes(object.BinaryData))
	v.size("data", sizes(object.Data), sizes(object.BinaryData))
	for key := range object.BinaryData {
		if _, twice := object.Data[key]; twice {
			v.exactlyOne(2, "data."+key, "binaryData."+key)
		}
	}
	failure.Invalid = v.errs
	if err := failure.orNil(); err != nil {
		return err
	}
	configMap := ConfigMap{Name: h.name, Namespace: object.Metadata.Namespace, Data: object.Data}
	return add(p, h, &p.docs.ConfigMaps, configMap, "configmap")
}

// sizes returns the length of each entry: validation sees no value.
func sizes[T string | []byte](data map[string]T) map[string]int {
	out := make(map[string]int, len(data))
	for key, value := range data {
		out[key] = len(value)
	}
	return out
}

// entryKey is what an API server takes for the key of an entry.
var entryKey = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)

func (v *validation) entries(path string, sizes map[string]int) {
	for key := range sizes {
		if !entryKey.MatchString(key) || slices.Contains([]string{".", ".."}, key) {
			v.invalid(fmt.Sprintf("%.260q", key), path, "a key of at most 253 letters, digits, '-', '_' and '.' is expected")
		}
	}
}

func (v *validation) size(path string, parts ...map[string]int) {
	total := 0
	for _, part := range parts {
		for _, size := range part {
			total += size
		}
	}
	if total > maxObject {
		v.add(fmt.Sprintf("got %d bytes, want at most %d", total, maxObject), "", path)
	}
}

// label is what namespaces are: RFC 1123 labels.
var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (v *validation) namespace(namespace string) {
	if namespace != "" && !label.MatchString(namespace) {
		v.invalid(fmt.Sprintf("%.70q", namespace), "metadata.namespace", "a lowercase RFC 1123 label is expected")
	}
}

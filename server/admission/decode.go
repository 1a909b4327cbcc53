package admission

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	admissionv1 "k8s.io/api/admission/v1"
)

// v1beta1 has the fields of v1: the version is all that differs in the answer.
// Its Go types are not imported for the sake of one string.
const (
	v1beta1    = admissionv1.GroupName + "/v1beta1"
	reviewKind = "AdmissionReview"
)

// Decode reads the envelope of an AdmissionReview. An error says which field is
// not what it should be, and never repeats the content of an object. Review.Raw
// is body itself, not a copy: do not change it afterwards.
func Decode(body []byte) (Review, error) {
	if err := checkDocument(body); err != nil {
		return Review{}, err
	}
	envelope, values, err := readObject("review", body)
	if err != nil {
		return Review{}, err
	}
	review := Review{Raw: body, Values: values}
	if err := review.readType(envelope); err != nil {
		return Review{}, err
	}
	request, _, err := readObject("request", envelope["request"])
	if err != nil {
		return Review{}, err
	}
	if err := review.readRequest(request); err != nil {
		return Review{}, err
	}
	return review, nil
}

// checkDocument holds body to one document of JSON. The engine decodes the same
// bytes again: what two decoders might read differently must not get to it.
func checkDocument(body []byte) error {
	if len(body) == 0 {
		return errors.New("review: got an empty body, want an AdmissionReview")
	}
	if !utf8.Valid(body) {
		return errors.New("review: got bytes that are not UTF-8, want JSON")
	}
	if json.Valid(body) {
		return nil
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(body, new(json.RawMessage)); errors.As(err, &syntax) {
		return fmt.Errorf("review: got invalid JSON at byte %d, want one JSON document", syntax.Offset)
	}
	return errors.New("review: got invalid JSON, want one JSON document")
}

// readType reads what kind of document this is, before anything in it is trusted.
func (r *Review) readType(envelope members) error {
	var kind string
	if err := envelope.read("", "kind", &kind); err != nil {
		return err
	}
	if kind != reviewKind {
		return fmt.Errorf("kind: got %.64q, want %s", kind, reviewKind)
	}
	if err := envelope.read("", "apiVersion", &r.APIVersion); err != nil {
		return err
	}
	if !knownVersion(r.APIVersion) {
		return fmt.Errorf("apiVersion: got %.64q, want %s or %s",
			r.APIVersion, admissionv1.SchemeGroupVersion, v1beta1)
	}
	return nil
}

func knownVersion(version string) bool {
	return version == admissionv1.SchemeGroupVersion.String() || version == v1beta1
}

// field is a member of the request that is read.
type field struct {
	name string
	into any
}

func (r *Review) fields() []field {
	return []field{
		{"uid", &r.UID},
		{"kind", &r.Kind},
		{"subResource", &r.SubResource},
		{"namespace", &r.Namespace},
		{"name", &r.Name},
		{"operation", &r.Operation},
		{"dryRun", &r.DryRun},
	}
}

// readRequest reads what the answer and the log need. The object, the old
// object, the options and the user are the engine's.
func (r *Review) readRequest(request members) error {
	for _, field := range r.fields() {
		if err := request.read("request.", field.name, field.into); err != nil {
			return err
		}
	}
	if r.UID == "" {
		return errors.New("request.uid: got none, want the uid that the answer repeats")
	}
	return nil
}

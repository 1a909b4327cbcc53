package sbom_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/predicate/bounded"
	"github.com/assay-dev/assay/predicate/sbom"
)

const spdx23 = `{
  "spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "app",
  "creationInfo": {"created": "2024-05-06T07:08:09Z"},
  "packages": [
    {"SPDXID": "SPDXRef-app", "name": "app", "versionInfo": "1.0", "primaryPackagePurpose": "CONTAINER", "supplier": "NOASSERTION"},
    {"SPDXID": "SPDXRef-log", "name": "log4j-core", "versionInfo": "2.14.1", "supplier": "Organization: Apache",
     "licenseDeclared": "Apache-2.0", "licenseConcluded": "NOASSERTION",
     "checksums": [{"algorithm": "SHA256", "checksumValue": "ABCD"}],
     "externalRefs": [
       {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"},
       {"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:apache:log4j:2.14.1:*:*:*:*:*:*:*"},
       {"referenceCategory": "OTHER", "referenceType": "website", "referenceLocator": "https://example.com"}]},
    {"SPDXID": "SPDXRef-deep", "name": "deep"},
    {"SPDXID": "SPDXRef-else", "name": "else"}
  ],
  "relationships": [
    {"spdxElementId": "SPDXRef-DOCUMENT", "relatedSpdxElement": "SPDXRef-app", "relationshipType": "DESCRIBES"},
    {"spdxElementId": "SPDXRef-app", "relatedSpdxElement": "SPDXRef-log", "relationshipType": "DEPENDS_ON"},
    {"spdxElementId": "SPDXRef-deep", "relatedSpdxElement": "SPDXRef-log", "relationshipType": "DEPENDENCY_OF"},
    {"spdxElementId": "SPDXRef-else", "relatedSpdxElement": "SPDXRef-app", "relationshipType": "CONTAINED_BY"},
    {"spdxElementId": "SPDXRef-deep", "relatedSpdxElement": "SPDXRef-app", "relationshipType": "DEPENDS_ON"},
    {"spdxElementId": "SPDXRef-app", "relatedSpdxElement": "SPDXRef-file", "relationshipType": "CONTAINS"}
  ]
}`

const cyclonedx16 = `{
  "bomFormat": "CycloneDX", "specVersion": "1.6",
  "metadata": {"timestamp": "2024-05-06T07:08:09Z", "component": {"bom-ref": "root", "type": "container", "name": "app"}},
  "components": [
    {"bom-ref": "log", "type": "library", "group": "org.apache.logging.log4j", "name": "log4j-core", "version": "2.14.1",
     "purl": "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1", "cpe": "cpe:2.3:a:apache:log4j:2.14.1:*:*:*:*:*:*:*",
     "supplier": {"name": "Apache"}, "hashes": [{"alg": "SHA-256", "content": "abcd"}],
     "licenses": [{"license": {"id": "Apache-2.0", "acknowledgement": "declared"}}, {"expression": "MIT OR BSD-3-Clause"}, {"license": {"name": "Some words"}}],
     "components": [{"type": "file", "name": "inner"}]},
    {"bom-ref": "os", "type": "operating-system", "name": "debian"}
  ],
  "dependencies": [
    {"ref": "root", "dependsOn": ["log", "absent"]},
    {"ref": "log", "dependsOn": ["os", "log", "root"], "provides": ["os"]}
  ]
}`

const spdx30 = `{
  "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
  "@graph": [
    {"type": "CreationInfo", "@id": "_:creation", "specVersion": "3.0.1", "created": "2024-05-06T07:08:09Z"},
    {"type": "Relationship", "spdxId": "urn:r1", "from": "urn:app", "to": ["urn:log"], "relationshipType": "dependsOn"},
    {"type": "Relationship", "spdxId": "urn:r2", "from": "urn:log", "to": ["urn:mit"], "relationshipType": "hasDeclaredLicense"},
    {"type": "Relationship", "spdxId": "urn:r3", "from": "urn:log", "to": ["https://spdx.org/licenses/Apache-2.0"], "relationshipType": "hasConcludedLicense"},
    {"type": "Relationship", "spdxId": "urn:r4", "from": "urn:app", "to": ["expandedlicensing_NoAssertionLicense"], "relationshipType": "hasDeclaredLicense"},
    {"type": "LifecycleScopedRelationship", "spdxId": "urn:r5", "from": {"spdxId": "urn:app"}, "to": ["urn:file", "urn:log"], "relationshipType": "contains", "scope": "runtime"},
    {"type": "SpdxDocument", "spdxId": "urn:doc", "name": "app", "rootElement": ["urn:sbom"]},
    {"type": "software_Sbom", "spdxId": "urn:sbom", "rootElement": ["urn:app"], "element": ["urn:app", "urn:log"]},
    {"type": "Organization", "spdxId": "urn:apache", "name": "Apache"},
    {"type": "simplelicensing_LicenseExpression", "spdxId": "urn:mit", "simplelicensing_licenseExpression": "MIT"},
    {"type": "software_File", "spdxId": "urn:file", "name": "/bin/app"},
    {"type": "software_Package", "spdxId": "urn:app", "name": "app", "software_primaryPurpose": "operatingSystem"},
    {"type": "software_Package", "spdxId": "urn:log", "name": "log4j-core", "software_packageVersion": "2.14.1", "suppliedBy": "urn:apache",
     "software_packageUrl": "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1",
     "externalIdentifier": [{"type": "ExternalIdentifier", "externalIdentifierType": "packageUrl", "identifier": "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"},
       {"type": "ExternalIdentifier", "externalIdentifierType": "cpe23", "identifier": "cpe:2.3:a:apache:log4j:2.14.1:*:*:*:*:*:*:*"}],
     "verifiedUsing": [{"type": "Hash", "algorithm": "sha256", "hashValue": "abcd"}, {"type": "PackageVerificationCode", "hashValue": "00"}]}
  ]
}`

// log4j is the same package in all three.
func log4j(id, supplier, relation string, licences ...sbom.License) sbom.Package {
	return sbom.Package{
		ID: id, Name: "log4j-core", Version: "2.14.1", Supplier: supplier, Relation: relation, Licenses: licences,
		PURLs:  []string{"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"},
		CPEs:   []string{"cpe:2.3:a:apache:log4j:2.14.1:*:*:*:*:*:*:*"},
		Hashes: map[string]string{"sha256": "abcd"},
	}
}

func bare(id, name, version, kind, relation string) sbom.Package {
	return sbom.Package{
		ID: id, Name: name, Version: version, Type: kind, Relation: relation,
		PURLs: []string{}, CPEs: []string{}, Licenses: []sbom.License{}, Hashes: map[string]string{},
	}
}

func TestPackagesReads(t *testing.T) {
	t.Parallel()
	library := log4j("log", "Apache", "direct",
		sbom.License{Kind: "declared", Expression: "Apache-2.0"}, sbom.License{Expression: "MIT OR BSD-3-Clause"}, sbom.License{Expression: "Some words"})
	library.Type, library.Group = "library", "org.apache.logging.log4j"
	for _, tt := range []struct {
		name, document string
		want           sbom.Document
	}{
		{"SPDX 2.3", spdx23, sbom.Document{
			Format: "spdx", Version: "2.3", Name: "app", Created: "2024-05-06T07:08:09Z",
			Packages: []sbom.Package{
				bare("SPDXRef-app", "app", "1.0", "container", "root"),
				log4j("SPDXRef-log", "Organization: Apache", "direct", sbom.License{Kind: "declared", Expression: "Apache-2.0"}),
				bare("SPDXRef-deep", "deep", "", "", "transitive"),
				bare("SPDXRef-else", "else", "", "", "unknown"),
			},
			Relationships: []sbom.Relationship{
				{From: "SPDXRef-app", To: "SPDXRef-log", Kind: "depends_on"},
				{From: "SPDXRef-log", To: "SPDXRef-deep", Kind: "depends_on"},
				{From: "SPDXRef-app", To: "SPDXRef-else", Kind: "contains"},
				{From: "SPDXRef-deep", To: "SPDXRef-app", Kind: "depends_on"},
			},
		}},
		{"CycloneDX 1.6", cyclonedx16, sbom.Document{
			Format: "cyclonedx", Version: "1.6", Name: "app", Created: "2024-05-06T07:08:09Z",
			Packages: []sbom.Package{
				bare("root", "app", "", "container", "root"),
				library,
				bare("components[0].components[0]", "inner", "", "file", "unknown"),
				bare("os", "debian", "", "operating_system", "transitive"),
			},
			Relationships: []sbom.Relationship{
				{From: "log", To: "components[0].components[0]", Kind: "contains"},
				{From: "root", To: "log", Kind: "depends_on"},
				{From: "log", To: "os", Kind: "depends_on"},
				{From: "log", To: "log", Kind: "depends_on"},
				{From: "log", To: "root", Kind: "depends_on"},
				{From: "log", To: "os", Kind: "provides"},
			},
		}},
		{"SPDX 3.0", spdx30, sbom.Document{
			Format: "spdx", Version: "3.0.1", Name: "app", Created: "2024-05-06T07:08:09Z",
			Packages: []sbom.Package{
				bare("urn:app", "app", "", "operating_system", "root"),
				log4j("urn:log", "Apache", "direct", sbom.License{Kind: "declared", Expression: "MIT"}, sbom.License{Kind: "concluded", Expression: "Apache-2.0"}),
			},
			Relationships: []sbom.Relationship{
				{From: "urn:app", To: "urn:log", Kind: "depends_on"},
				{From: "urn:app", To: "urn:log", Kind: "contains"},
			},
		}},
		{"an empty SPDX 2.2", `{"spdxVersion": "SPDX-2.2"}`, sbom.Document{Format: "spdx", Version: "2.2", Packages: []sbom.Package{}, Relationships: []sbom.Relationship{}}},
		{"in a text", fmt.Sprintf("%q", `{"bomFormat": "CycloneDX", "specVersion": "1.2"}`), sbom.Document{Format: "cyclonedx", Version: "1.2", Packages: []sbom.Package{}, Relationships: []sbom.Relationship{}}},
		{"in a statement of cosign", `{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://spdx.dev/Document", "predicate": {"Data": "{\"spdxVersion\": \"SPDX-2.3\"}"}}`, sbom.Document{Format: "spdx", Version: "2.3", Packages: []sbom.Package{}, Relationships: []sbom.Relationship{}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := sbom.Packages([]byte(tt.document))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A licence that stands beside another is not passed over.
func TestPackagesReadsAllLicences(t *testing.T) {
	t.Parallel()
	document := `{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"name": "a", "licenses": [{"expression": "MIT", "license": {"id": "Zlib", "name": "GPL-3.0-only"}}]}]}`
	got, err := sbom.Packages([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]sbom.License{{Expression: "MIT"}, {Expression: "Zlib"}, {Expression: "GPL-3.0-only"}}, got.Packages[0].Licenses); diff != "" {
		t.Error(diff)
	}
}

func TestPackagesRefuses(t *testing.T) {
	t.Parallel()
	const spdx, bom, graph = `{"spdxVersion": "SPDX-2.3", `, `{"bomFormat": "CycloneDX", "specVersion": "1.5", `, `{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": `
	for _, tt := range []struct{ name, document, code, want string }{
		{"a format that is neither", `{"packages": []}`, "unsupported", "got none of spdxVersion, bomFormat and @context"},
		{"two formats at once", spdx + `"bomFormat": "CycloneDX"}`, "malformed", "bomFormat: got it beside spdxVersion, want one format"},
		{"tag-value", "SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0", "unsupported", "got SPDX in tag-value form, want it in JSON"},
		{"tag-value in a text", `"SPDXVersion: SPDX-2.3"`, "unsupported", "tag-value"},
		{"SPDX 2.1", `{"spdxVersion": "SPDX-2.1"}`, "unsupported", `spdxVersion: got "SPDX-2.1", want SPDX-2.2 or SPDX-2.3`},
		{"a version that is a number", `{"spdxVersion": 2.3}`, "malformed", "spdxVersion: got a number, want a string"},
		{"CycloneDX 1.1", `{"bomFormat": "CycloneDX", "specVersion": "1.1"}`, "unsupported", `specVersion: got "1.1", want 1.2 to 1.7`},
		{"another bomFormat", `{"bomFormat": "cyclonedx", "specVersion": "1.5"}`, "unsupported", `bomFormat: got "cyclonedx", want CycloneDX`},
		{"another context", `{"@context": "https://example.com/context.jsonld", "@graph": []}`, "unsupported", "@context: got"},
		{"a context beside that of SPDX", `{"@context": ["https://spdx.org/rdf/3.0.1/spdx-context.jsonld", {"name": "http://example.com/"}], "@graph": []}`, "unsupported", "@context: got"},
		{"no graph", `{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "type": "software_Package"}`, "unsupported", "@graph: got none"},
		{"a key twice", spdx + `"packages": [{"name": "a", "name": "b"}]}`, "malformed", "packages[0].name: got the key twice"},
		{"packages that are no list", spdx + `"packages": {}}`, "malformed", "packages: got an object, want a list"},
		{"a package that is null", spdx + `"packages": [null]}`, "malformed", "packages[0].name: got none, want one"},
		{"a package without a name", spdx + `"packages": [{"name": "a"}, {"Name": "b"}]}`, "malformed", "packages[1].name: got none, want one"},
		{"a version of a package that is a number", spdx + `"packages": [{"name": "a", "versionInfo": 1.10}]}`, "malformed", "packages[0].versionInfo: got a number, want a string"},
		{"a reference without a type", spdx + `"packages": [{"name": "a", "externalRefs": [null]}]}`, "malformed", "packages[0].externalRefs[0].referenceType: got none"},
		{"a checksum without a value", spdx + `"packages": [{"name": "a", "checksums": [{"algorithm": "SHA1"}]}]}`, "malformed", "packages[0].checksums[0]: got no algorithm or no value"},
		{"two digests by one algorithm", spdx + `"packages": [{"name": "a", "checksums": [{"algorithm": "SHA1", "checksumValue": "00"}, {"algorithm": "SHA1", "checksumValue": "01"}]}]}`, "malformed", "packages[0].checksums[1]: got a second sha1"},
		{"a relationship of no type", spdx + `"relationships": [null]}`, "malformed", "relationships[0].relationshipType: got none"},
		{"a time that is none", spdx + `"creationInfo": {"created": "2024"}}`, "malformed", `creationInfo.created: got "2024", want a time`},
		{"a component that is null", bom + `"components": [null]}`, "malformed", "components[0].name: got none"},
		{"an inner component without a name", bom + `"components": [{"name": "a", "components": [{}]}]}`, "malformed", "components[0].components[0].name: got none"},
		{"a supplier that is a text", bom + `"components": [{"name": "a", "supplier": "b"}]}`, "malformed", "components[0].supplier: got a string, want an object"},
		{"a licence that is nothing", bom + `"components": [{"name": "a", "licenses": [{}]}]}`, "malformed", "components[0].licenses[0]: got no licence and no expression"},
		{"components very deep", bom + `"components": ` + strings.Repeat(`[{"name": "a", "components": `, 40) + "[]" + strings.Repeat("}]", 40) + "}", "too_large", "deeper than 64"},
		{"an element without a type", graph + `[{"spdxId": "urn:a", "name": "a"}]}`, "malformed", "@graph[0].type: got none"},
		{"an element that is null", graph + `[null]}`, "malformed", "@graph[0].type: got none"},
		{"a relationship from a number", graph + `[{"type": "Relationship", "from": 5, "to": ["urn:a"], "relationshipType": "contains"}]}`, "malformed", "@graph[0].from: got no ID"},
		{"a relationship to null", graph + `[{"type": "Relationship", "from": "urn:a", "to": [null], "relationshipType": "contains"}]}`, "malformed", "@graph[0].to[0]: got no ID"},
		{"a root that is a number", graph + `[{"type": "SpdxDocument", "rootElement": [1]}]}`, "malformed", "@graph[0].rootElement[0]: got no ID"},
		{"a package in place among the elements of the document", graph + `[{"type": "SpdxDocument", "element": ["urn:a", {"type": "software_Package", "spdxId": "urn:b", "name": "b"}]}]}`, "malformed", "@graph[0].element[1]: got a package in place, want its ID"},
		{"a package in place among the elements of an SBOM", graph + `[{"type": "software_Sbom", "element": [{"type": "ai_AIPackage", "spdxId": "urn:b"}]}]}`, "malformed", "@graph[0].element[0]: got a package in place"},
		{"a package in place among the elements of a BOM", graph + `[{"type": "Bom", "element": [{"type": "dataset_DatasetPackage", "spdxId": "urn:b"}]}]}`, "malformed", "@graph[0].element[0]: got a package in place"},
		{"a package in place among the elements of a bundle", graph + `[{"type": "Bundle", "element": [{"type": "software_Package", "spdxId": "urn:b"}]}]}`, "malformed", "@graph[0].element[0]: got a package in place"},
		{"a package in place of a list of elements", graph + `[{"type": "Bundle", "element": {"type": "software_Package", "spdxId": "urn:b"}}]}`, "malformed", "@graph[0].element: got a package in place"},
		{"a package in place as the root of a bundle", graph + `[{"type": "Bundle", "rootElement": [{"type": "software_Package", "spdxId": "urn:b"}]}]}`, "malformed", "@graph[0].rootElement[0]: got a package in place"},
		{"a package in place in an SBOM in place", graph + `[{"type": "SpdxDocument", "element": [{"type": "software_Sbom", "spdxId": "urn:s", "element": [{"type": "software_Package", "spdxId": "urn:b"}]}]}]}`, "malformed", "@graph[0].element[0].element[0]: got a package in place"},
		{"a package in place in what a relationship leads to", graph + `[{"type": "Relationship", "from": "urn:a", "to": [{"type": "Bom", "spdxId": "urn:s", "element": [{"type": "software_Package", "spdxId": "urn:b"}]}], "relationshipType": "contains"}]}`, "malformed", "@graph[0].to[0].element[0]: got a package in place"},
		{"an element in place whose type is an address", graph + `[{"type": "Bom", "element": [{"type": "https://spdx.org/rdf/3.0.1/terms/Software/Package", "spdxId": "urn:b"}]}]}`, "unsupported", "@graph[0].element[0].type: got \"https://spdx.org/rdf/3.0.1/terms/Software/Package\", want it in compact form"},
		{"an element in place of two types", graph + `[{"type": "Bom", "element": [{"type": ["software_Package"], "spdxId": "urn:b"}]}]}`, "malformed", "@graph[0].element[0].type: got no text, want one"},
		{"an element in place whose type is a keyword", graph + `[{"type": "Bom", "element": [{"@type": "software_Package", "spdxId": "urn:b"}]}]}`, "unsupported", "@graph[0].element[0].@type: got it, want type"},
		{"a package of the graph without a name", graph + `[{"type": "ai_AIPackage", "spdxId": "urn:a"}]}`, "malformed", "@graph[0].name: got none"},
		{"more packages than the bound", spdx + `"packages": [` + strings.Repeat(`{"name":"a"},`, sbom.MaxPackages) + `{"name":"a"}]}`, "too_large", "packages[50000]: got more than 50000 packages"},
		{"a million packages", spdx + `"packages": [` + strings.Repeat(`{"name":"a"},`, 1_000_000) + `{"name":"a"}]}`, "too_large", "got more than 250000 objects"},
		{"more edges than the bound", bom + `"dependencies": [{"ref": "a", "dependsOn": [` + strings.Repeat(`"b",`, sbom.MaxRelationships) + `"b"]}]}`, "too_large", "dependencies[0]: got more than 250000 relationships"},
		{"edges that repeat a long name", bom + `"dependencies": [{"ref": "` + strings.Repeat("a", 1<<20) + `", "dependsOn": [` + strings.Repeat(`"b",`, 100) + `"b"]}]}`, "too_large", "dependencies[0]: got packages and relationships of more than 67108864 bytes"},
		{"packages that repeat a long licence", graph + `[{"spdxId": "urn:l", "type": "a", "name": "` + strings.Repeat("a", 1<<20) + `"},` + strings.Repeat(`{"type": "software_Package", "spdxId": "urn:a", "name": "a", "suppliedBy": "urn:l"},`, 100) + `null]}`, "too_large", "got packages and relationships of more than 67108864 bytes"},
		{"a licence many times for one name", graph + `[{"type": "Relationship", "from": "urn:a", "relationshipType": "hasDeclaredLicense", "to": [` + strings.Repeat(`"b",`, 10_000) + `"b"]},` + strings.Repeat(`{"type": "software_Package", "spdxId": "urn:a", "name": "a"},`, 1000) + `null]}`, "too_large", "got packages and relationships of more than 67108864 bytes"},
		{"a package of the graph in place", graph + `[{"type": "SpdxDocument", "rootElement": [{"type": "software_Package", "spdxId": "urn:a", "name": "a"}]}]}`, "malformed", "@graph[0].rootElement[0]: got a package in place"},
		{"a type in another spelling", graph + `[{"type": "https://spdx.org/rdf/3.0.1/terms/Software/Package", "spdxId": "urn:a", "name": "a"}]}`, "unsupported", "@graph[0].type: got "},
		{"a statement about something else", `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1", "predicate": {"spdxVersion": "SPDX-2.3"}}`, "unsupported", "predicateType: got"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := sbom.Packages([]byte(tt.document))
			refused(t, err, tt.code, tt.want)
			if len(got.Packages) > 0 {
				t.Errorf("got %d packages beside the error, want none", len(got.Packages))
			}
		})
	}
}

// refused wants a *bounded.Error with a code and a text.
func refused(t *testing.T, err error, code, want string) {
	t.Helper()
	var got *bounded.Error
	if !errors.As(err, &got) {
		t.Fatalf("got %v, want a *bounded.Error", err)
	}
	if string(got.Code) != code || !strings.Contains(got.Error(), want) {
		t.Errorf("got %s: %.300s, want %s: …%s…", got.Code, got.Error(), code, want)
	}
}

// A ring of packages has an end for whoever walks it.
func TestPackagesEndsAtCycles(t *testing.T) {
	t.Parallel()
	const n = 10_000
	var packages, edges strings.Builder
	for i := range n {
		fmt.Fprintf(&packages, `{"bom-ref": "p%d", "name": "p"},`, i)
		fmt.Fprintf(&edges, `{"ref": "p%d", "dependsOn": ["p%d", "p%d"]},`, i, (i+1)%n, i)
	}
	document := fmt.Sprintf(`{"bomFormat": "CycloneDX", "specVersion": "1.5", "metadata": {"component": {"bom-ref": "p0", "name": "p"}},
		"components": [%s], "dependencies": [%s]}`, strings.TrimSuffix(packages.String(), ","), strings.TrimSuffix(edges.String(), ","))
	got, err := sbom.Packages([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, p := range got.Packages {
		counts[p.Relation]++
	}
	if diff := cmp.Diff(map[string]int{"root": 2, "direct": 1, "transitive": n - 2}, counts); diff != "" {
		t.Error(diff)
	}
}

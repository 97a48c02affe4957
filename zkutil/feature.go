package zkutil

import (
	"errors"
	"fmt"
)

// FeaturePath holds the features that the cluster as a whole has switched on (KIP-584). The node's data
// version is the epoch of finalized features.
const FeaturePath = "/feature"

// Versions of the encoding: 2 from inter.broker.protocol.version 3.3-IV0 on.
const (
	featureVersionRanges = 1
	FeatureVersion       = 2
)

// FeatureLevel is the level that a feature is finalized at. Version 1 of the encoding has a lowest level
// too.
type FeatureLevel struct{ Min, Max int16 }

// Features is the contents of FeaturePath (FeatureZNode).
type Features struct {
	Version int  // of the encoding: 1 or 2; 0 is written as 2
	Enabled bool // status 1; brokers with inter.broker.protocol.version below 2.7-IV0 write 0
	Levels  map[string]FeatureLevel
}

// Encode returns the contents of FeaturePath.
func (f *Features) Encode() []byte {
	v := struct {
		Features map[string]map[string]int16 `json:"features"`
		Version  int                         `json:"version"`
		Status   int                         `json:"status"`
	}{Features: map[string]map[string]int16{}, Version: f.Version}
	if v.Version == 0 {
		v.Version = FeatureVersion
	}
	if f.Enabled {
		v.Status = 1
	}
	for name, level := range f.Levels {
		v.Features[name] = map[string]int16{"max_version_level": level.Max}
		if v.Version == featureVersionRanges {
			v.Features[name]["min_version_level"] = level.Min
		}
	}
	return encodeJSON(v)
}

// DecodeFeatures returns the features in data.
func DecodeFeatures(data []byte) (*Features, error) {
	f, err := decodeFeatures(data)
	if err != nil {
		return nil, malformed("features", data, err)
	}
	return f, nil
}

func decodeFeatures(data []byte) (*Features, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	f := &Features{Levels: map[string]FeatureLevel{}}
	if f.Version, err = required[int](o, "version"); err != nil {
		return nil, err
	}
	if f.Version < featureVersionRanges {
		return nil, fmt.Errorf("unsupported version %d", f.Version)
	}
	status, err := required[int](o, "status")
	if err != nil {
		return nil, err
	}
	if status != 0 && status != 1 {
		return nil, fmt.Errorf("unknown status %d", status)
	}
	f.Enabled = status == 1
	levels, err := required[map[string]map[string]int16](o, "features")
	if err != nil {
		return nil, err
	}
	for name, level := range levels {
		highest, ok := level["max_version_level"]
		if !ok {
			return nil, errors.New("feature " + name + " has no highest level")
		}
		f.Levels[name] = FeatureLevel{Min: level["min_version_level"], Max: highest}
	}
	return f, nil
}

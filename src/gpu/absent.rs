//! The module `gpu` in a crate built without GPUs: no adapter is found, so there is no context.

use crate::error::Result;
use crate::info::{AdapterInfo, ResourceCounts};

/// Never constructed.
#[derive(Debug)]
pub(crate) enum Adapter {}

/// Never constructed.
#[derive(Debug)]
pub(crate) enum Context {}

/// Never constructed.
#[derive(Debug)]
pub(crate) enum Saved {}

/// Always empty.
pub(crate) async fn adapters(_: Option<&str>) -> Vec<(AdapterInfo, Adapter)> {
    Vec::new()
}

impl Context {
    pub(crate) async fn open(_: AdapterInfo, adapter: &Adapter, _: Option<&std::path::Path>) -> Result<Self> {
        match *adapter {}
    }

    pub(crate) fn info(&self) -> &AdapterInfo {
        match *self {}
    }

    pub(crate) fn resource_counts(&self) -> ResourceCounts {
        match *self {}
    }

    pub(crate) fn read_backs(&self) -> usize {
        match *self {}
    }

    pub(crate) fn is_lost(&self) -> bool {
        match *self {}
    }

    pub(crate) fn destroy(&self) {
        match *self {}
    }

    pub(crate) fn saved(&self) -> Option<&Saved> {
        match *self {}
    }
}

impl Saved {
    pub(crate) fn save(&self) -> Result<bool> {
        match *self {}
    }
}

//! The gRPC client, server and descriptor set, from `proto/`.

use std::{env, fs, path::Path};

use prost::Message;
use protox::Compiler;
use tonic_prost_build::{Builder, FileDescriptorSet};

use crate::Failure;

const INCLUDE: &str = "proto";
const SCHEMA: &str = "securestack/mesh/v1/mesh.proto";
const PACKAGE: &str = "securestack.mesh.v1";

const CODE: &str = "crates/mesh-core/src/transport/generated/securestack.mesh.v1.rs";
const DESCRIPTORS: &str = "crates/mesh-core/src/transport/generated/mesh.bin";

const ETCD_SCHEMA: &str = "etcd/v3.proto";
const ETCD_PACKAGE: &str = "etcdserverpb";
const ETCD_CODE: &str = "crates/mesh-core/src/providers/instances/etcd/generated/etcdserverpb.rs";

const OTLP_SCHEMA: &str = "opentelemetry/trace.proto";
const OTLP_PACKAGE: &str = "opentelemetry";
const OTLP_CODE: &str = "crates/mesh-core/src/otlp/generated/opentelemetry.rs";

const SPIFFE_SCHEMA: &str = "spiffe/workload.proto";
/// The name of the file of a schema without a package.
const SPIFFE_PACKAGE: &str = "_";
const SPIFFE_CODE: &str = "crates/mesh-core/src/providers/workload/generated/spiffe.rs";

/// A generated file.
pub(crate) struct Generated {
    /// The path below the workspace's root, with forward slashes.
    pub(crate) path: &'static str,
    pub(crate) content: Vec<u8>,
}

/// Generates the files of the schemas below `root`, without writing them.
pub(crate) fn generate(root: &Path) -> Result<Vec<Generated>, Failure> {
    let mut mesh = read(root, SCHEMA)?;
    // `Bytes`, so that frames are read from and written to the network without a copy.
    let code = compile(&mesh, PACKAGE, |config| {
        config.build_server(true).codec_path("crate::transport::FrameCodec")
    })?;
    // Comments and positions are for the generated code. Reflection serves the schema alone, so that a
    // comment does not change it.
    for file in &mut mesh.file {
        file.source_code_info = None;
    }
    let etcd = compile(&read(root, ETCD_SCHEMA)?, ETCD_PACKAGE, |config| config.build_server(false))?;
    let otlp = compile(&read(root, OTLP_SCHEMA)?, OTLP_PACKAGE, |config| config.build_server(false))?;
    // Its identities have private keys, which no `Debug` shows.
    let spiffe = compile(&read(root, SPIFFE_SCHEMA)?, SPIFFE_PACKAGE, |config| {
        config.build_server(false).skip_debug([".X509SVID"])
    })?;
    Ok(vec![
        Generated { path: CODE, content: code },
        Generated { path: DESCRIPTORS, content: mesh.encode_to_vec() },
        Generated { path: ETCD_CODE, content: etcd },
        Generated { path: OTLP_CODE, content: otlp },
        Generated { path: SPIFFE_CODE, content: spiffe },
    ])
}

fn read(root: &Path, schema: &str) -> Result<FileDescriptorSet, Failure> {
    Compiler::new([root.join(INCLUDE)])
        .and_then(|mut compiler| {
            compiler.include_source_info(true).include_imports(true).open_file(schema)?;
            Ok(compiler.file_descriptor_set())
        })
        .map_err(|error| Failure::Schema(Box::new(error)))
}

fn compile(
    descriptors: &FileDescriptorSet,
    package: &str,
    adjust: impl FnOnce(Builder) -> Builder,
) -> Result<Vec<u8>, Failure> {
    // `tonic-prost-build` can only write to a folder. It gets a temporary one, because `--check` must not
    // change the working tree.
    let folder = env::temp_dir().join(format!("securestack-codegen-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|source| Failure::io(&folder, source))?;
    let builder = tonic_prost_build::configure().build_client(true).bytes(".").out_dir(&folder);
    let compiled = adjust(builder).emit_rerun_if_changed(false).compile_fds(descriptors.clone());
    let path = folder.join(format!("{package}.rs"));
    let code = compiled
        .map_err(|error| Failure::Schema(Box::new(error)))
        .and_then(|()| fs::read(&path).map_err(|source| Failure::io(&path, source)));
    fs::remove_dir_all(&folder).map_err(|source| Failure::io(&folder, source))?;
    code
}

//! The gRPC client, server and descriptor set, from `proto/`.

use std::{env, fs, path::Path};

use prost::Message;
use protox::Compiler;

use crate::Failure;

const INCLUDE: &str = "proto";
const SCHEMA: &str = "securestack/mesh/v1/mesh.proto";
const PACKAGE: &str = "securestack.mesh.v1";

const CODE: &str = "crates/mesh-core/src/transport/generated/securestack.mesh.v1.rs";
const DESCRIPTORS: &str = "crates/mesh-core/src/transport/generated/mesh.bin";

/// A generated file.
pub(crate) struct Generated {
    /// The path below the workspace's root, with forward slashes.
    pub(crate) path: &'static str,
    pub(crate) content: Vec<u8>,
}

/// Generates the files of the schema below `root`, without writing them.
pub(crate) fn generate(root: &Path) -> Result<Vec<Generated>, Failure> {
    let mut descriptors = Compiler::new([root.join(INCLUDE)])
        .and_then(|mut compiler| {
            compiler.include_source_info(true).include_imports(true).open_file(SCHEMA)?;
            Ok(compiler.file_descriptor_set())
        })
        .map_err(|error| Failure::Schema(Box::new(error)))?;

    // `tonic-prost-build` can only write to a folder. It gets a temporary one, because `--check` must not
    // change the working tree.
    let folder = env::temp_dir().join(format!("securestack-codegen-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|source| Failure::io(&folder, source))?;
    let code = compile(&descriptors, &folder);
    fs::remove_dir_all(&folder).map_err(|source| Failure::io(&folder, source))?;

    // Comments and positions are for the generated code. Reflection serves the schema alone, so that a
    // comment does not change it.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    Ok(vec![
        Generated { path: CODE, content: code? },
        Generated { path: DESCRIPTORS, content: descriptors.encode_to_vec() },
    ])
}

fn compile(descriptors: &tonic_prost_build::FileDescriptorSet, folder: &Path) -> Result<Vec<u8>, Failure> {
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        // `Bytes`, so that frames are read from and written to the network without a copy.
        .bytes(".")
        .codec_path("crate::transport::FrameCodec")
        .out_dir(folder)
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors.clone())
        .map_err(|error| Failure::Schema(Box::new(error)))?;
    let path = folder.join(format!("{PACKAGE}.rs"));
    fs::read(&path).map_err(|source| Failure::io(&path, source))
}

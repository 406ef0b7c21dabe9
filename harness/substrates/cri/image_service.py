"""runtime.v1.ImageService: each call of the protocol is a method that asks the images. Not the transport: that is `server`."""

from pathlib import Path

from harness import clock
from harness.substrates.cri import runtime_pb2 as cri
from harness.substrates.cri.images import Image, Images


class ImageService:
    """runtime.v1.ImageService."""

    def __init__(self, images: Images, state: Path) -> None:
        self._images = images
        self._state = state

    async def list_images(self, request: cri.ListImagesRequest) -> cri.ListImagesResponse:
        wanted = request.filter.image.image
        found = [self._images.find(wanted)] if wanted else self._images.all()
        return cri.ListImagesResponse(images=[_image(image) for image in found if image])

    async def image_status(self, request: cri.ImageStatusRequest) -> cri.ImageStatusResponse:
        image = self._images.find(request.image.image)
        return cri.ImageStatusResponse(image=_image(image) if image else None)

    async def pull_image(self, request: cri.PullImageRequest) -> cri.PullImageResponse:
        return cri.PullImageResponse(image_ref=self._images.pull(request.image.image).digest)

    async def remove_image(self, request: cri.RemoveImageRequest) -> cri.RemoveImageResponse:
        self._images.remove(request.image.image)
        return cri.RemoveImageResponse()

    async def image_fs_info(self, _request: cri.ImageFsInfoRequest) -> cri.ImageFsInfoResponse:
        usage = cri.FilesystemUsage(
            timestamp=clock.wall(),
            fs_id=cri.FilesystemIdentifier(mountpoint=str(self._state)),
            used_bytes=cri.UInt64Value(value=sum(image.size for image in self._images.all())),
            inodes_used=cri.UInt64Value(value=0),
        )
        return cri.ImageFsInfoResponse(image_filesystems=[usage], container_filesystems=[usage])


def _image(image: Image) -> cri.Image:
    return cri.Image(
        id=image.id,
        repo_tags=[image.tag],
        repo_digests=[image.digest],
        size=image.size,
        uid=cri.Int64Value(value=image.uid),
        spec=cri.ImageSpec(image=image.tag),
    )
